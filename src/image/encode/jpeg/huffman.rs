//! Huffman tables optimised for the symbols of a picture (T.81 annexes C and K.2).

/// The longest code that the format allows.
const LENGTH_MAX: usize = 16;

/// A table in the form of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HuffmanTable {
    /// The number of codes of 1, 2, … 16 bits.
    pub(super) lengths: [u8; LENGTH_MAX],
    /// Symbols in the order of their codes, from the shortest to the longest.
    pub(super) symbols: Vec<u8>,
}

impl HuffmanTable {
    /// The table that codes symbols of these frequencies in the fewest bits, except that no code is longer than 16
    /// bits. Symbols that never occur get no code.
    pub(super) fn of(counts: &[u32; 256]) -> Self {
        let mut symbols: Vec<u8> = (0..=255).filter(|&symbol| counts[usize::from(symbol)] > 0).collect();
        // Equal counts are in the order of their symbols, so that the same counts always give the same table.
        symbols.sort_by_key(|&symbol| std::cmp::Reverse(counts[usize::from(symbol)]));
        // No code may be all ones, so a placeholder symbol, rarer than all others, gets that code.
        let mut weights = vec![0];
        weights.extend(symbols.iter().rev().map(|&symbol| u64::from(counts[usize::from(symbol)])));
        let mut at_depth = limited(depths(&weights));
        if let Some(longest) = at_depth.iter_mut().rev().find(|count| **count > 0) {
            *longest -= 1;
        }
        // At most 256; as many of one length only if no code is reserved.
        Self { lengths: at_depth.map(|count| count as u8), symbols }
    }

    /// For each symbol its code, above the lowest 8 bits, and its length in these. Zero for a symbol without one.
    pub(super) fn codes(&self) -> [u32; 256] {
        let mut codes = [0; 256];
        let mut symbols = self.symbols.iter();
        let mut code = 0;
        for (length, &count) in (1_u32..).zip(&self.lengths) {
            for &symbol in symbols.by_ref().take(usize::from(count)) {
                codes[usize::from(symbol)] = code << 8 | length;
                code += 1;
            }
            code <<= 1;
        }
        codes
    }
}

/// The number of leaves of a Huffman tree at each depth. `weights` ascend; the first is the placeholder's.
fn depths(weights: &[u64]) -> Vec<usize> {
    let leaves = weights.len();
    // Node numbers: leaves in the order of their weights, then inner nodes, whose weights ascend as they are made.
    let mut weight = weights.to_vec();
    let mut parent = vec![0; 2 * leaves];
    let (mut leaf, mut inner) = (0, leaves);
    for node in leaves..(2 * leaves).saturating_sub(1) {
        let mut lightest = || {
            let take_leaf = leaf < leaves && (inner >= node || weight[leaf] <= weight[inner]);
            let next = if take_leaf { &mut leaf } else { &mut inner };
            *next += 1;
            *next - 1
        };
        let (left, right) = (lightest(), lightest());
        weight.push(weight[left] + weight[right]);
        (parent[left], parent[right]) = (node, node);
    }
    let root = 2 * leaves - 2;
    let mut depth = vec![0; root + 1];
    let mut at_depth = vec![0; leaves + 1];
    for node in (0..root).rev() {
        depth[node] = depth[parent[node]] + 1;
        if node < leaves {
            at_depth[depth[node]] += 1;
        }
    }
    at_depth
}

/// Shortens codes that are too long, at the cost of the next shorter ones (T.81 figure K.3). Of two longest codes one
/// gets their common prefix. The other one and a shorter code become the two children of that shorter code.
fn limited(mut at_depth: Vec<usize>) -> [usize; LENGTH_MAX] {
    for long in (LENGTH_MAX + 1..at_depth.len()).rev() {
        while at_depth[long] > 0 {
            let short = (1..long - 1).rev().find(|&short| at_depth[short] > 0);
            let short = short.expect("a tree whose leaves all lie deeper has more than 2^15 of them");
            at_depth[long] -= 2;
            at_depth[long - 1] += 1;
            at_depth[short + 1] += 2;
            at_depth[short] -= 1;
        }
    }
    std::array::from_fn(|length| at_depth.get(length + 1).copied().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts(of: &[(u8, u32)]) -> [u32; 256] {
        let mut counts = [0; 256];
        of.iter().for_each(|&(symbol, count)| counts[usize::from(symbol)] = count);
        counts
    }

    #[test]
    fn frequent_symbols_get_the_shorter_codes_and_one_code_stays_free() {
        let table = HuffmanTable::of(&counts(&[(7, 100), (3, 50), (200, 20), (9, 20)]));
        assert_eq!(table.symbols, [7, 3, 9, 200]);
        assert_eq!(table.lengths[..5], [1, 1, 1, 1, 0]);
        let codes = table.codes();
        let code_and_length = [7, 3, 9, 200].map(|symbol| (codes[symbol] >> 8, codes[symbol] & 0xFF));
        assert_eq!(code_and_length, [(0b0, 1), (0b10, 2), (0b110, 3), (0b1110, 4)]);
        assert_eq!(codes[8], 0);
    }

    #[test]
    fn a_single_symbol_has_a_code_of_one_bit_and_none_is_no_table() {
        let table = HuffmanTable::of(&counts(&[(0, 1)]));
        assert_eq!((table.lengths[0], table.codes()[0]), (1, 1));
        let table = HuffmanTable::of(&[0; 256]);
        assert_eq!((table.lengths, table.symbols.len()), ([0; 16], 0));
    }

    #[test]
    fn steep_frequencies_are_kept_within_sixteen_bits() {
        let (mut last, mut next) = (1, 1);
        let steep: Vec<(u8, u32)> = (0..40)
            .map(|symbol| {
                (last, next) = (next, last + next);
                (symbol, last)
            })
            .collect();
        assert_usable(&counts(&steep));
    }

    /// Asserts that every occurring symbol has a code, that none is the prefix of another, and that none is all ones.
    fn assert_usable(counts: &[u32; 256]) {
        let table = HuffmanTable::of(counts);
        let room: u32 =
            (1..).zip(&table.lengths).map(|(length, &count)| u32::from(count) << (16 - length)).sum();
        assert!(room < 1 << 16, "more codes than there are, or all ones among them");
        let total: usize = table.lengths.iter().map(|&count| usize::from(count)).sum();
        assert_eq!(total, table.symbols.len());
        for (symbol, code) in table.codes().into_iter().enumerate() {
            assert_eq!(code & 0xFF > 0, counts[symbol] > 0, "symbol {symbol}");
        }
        let weight = |symbol: u8| counts[usize::from(symbol)];
        assert!(table.symbols.windows(2).all(|pair| weight(pair[0]) >= weight(pair[1])));
    }

    /// The number of bits of Huffman's own algorithm without a bound on lengths, with one reserved code.
    fn fewest_bits(counts: &[u32; 256]) -> u64 {
        let mut weights: Vec<u64> =
            counts.iter().filter(|&&count| count > 0).map(|&count| u64::from(count)).collect();
        weights.push(0);
        let mut bits = 0;
        while weights.len() > 1 {
            weights.sort_unstable_by(|left, right| right.cmp(left));
            let pair = weights.pop().unwrap() + weights.pop().unwrap();
            bits += pair;
            weights.push(pair);
        }
        bits
    }

    proptest! {
        #[test]
        fn any_frequencies_give_a_usable_table(
            counts in prop::collection::vec(prop_oneof![Just(0_u32), 1..4_u32, any::<u32>()], 256),
        ) {
            assert_usable(&counts.try_into().unwrap());
        }

        #[test]
        fn no_table_of_the_same_kind_needs_fewer_bits(
            some in prop::collection::vec((any::<u8>(), 1..=60_u32), 1..=40),
        ) {
            let counts = counts(&some);
            let codes = HuffmanTable::of(&counts).codes();
            let bits: u64 =
                counts.iter().zip(codes).map(|(&count, code)| u64::from(count) * u64::from(code & 0xFF)).sum();
            // A code of 17 bits needs Fibonacci numbers, which add up to 4180; these reach 2400.
            prop_assert_eq!(bits, fewest_bits(&counts));
        }
    }
}
