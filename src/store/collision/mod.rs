//! SHA-1 that notices collision attacks, and keeps the processor's own instructions for the hash.
//!
//! An image's id is the SHA-1 of its bytes, so two images made to collide would be one. All known attacks bring in message
//! differences of a few kinds (disturbance vectors). For each block, cheap conditions on the expanded message say which
//! kinds are possible at all ([`conditions`], for 64 blocks at once); for about one block in twenty of an ordinary file
//! some kind remains, and hashing the sibling that this kind implies shows whether it really collides ([`attack`]). After
//! Stevens and Shumow, "Speeding up detection of SHA-1 collision attacks using unavoidable attack conditions", 2017.
//!
//! Chosen over the crate `sha1-checked` (0.10), which compresses in software: 4.1 times the time of `sha1` with the SHA
//! instructions (2.6 ns a byte beside 0.63), where this takes 1.95 times (1.23 ns). Without AVX2 the conditions cost as much
//! as there.

mod attack;
#[cfg(target_arch = "x86_64")]
mod avx2;
mod conditions;
#[cfg(test)]
pub(super) mod tests;

use sha1::block_api::compress;

use self::conditions::{BITS, BitPlanes, possible_blocks};

/// Bytes of a block.
const BLOCK_BYTES: usize = 64;

/// Blocks whose conditions are judged together: a bit of a number for each.
const GROUP: usize = 64;

/// Blocks whose messages are expanded together.
const LANES: usize = 8;

/// The initial state.
const START: [u32; 5] = [0x6745_2301, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];

type MessageBlock = [u8; BLOCK_BYTES];

/// A SHA-1 in the making.
#[derive(Clone, Debug)]
pub(super) struct CollisionHasher {
    state: [u32; 5],
    /// The bytes since the last whole group, `filled` of them.
    pending: [[u8; BLOCK_BYTES]; GROUP],
    filled: usize,
    length: u64,
    detects: bool,
    found: bool,
}

/// The bytes were made to have the same SHA-1 as others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Collision;

impl CollisionHasher {
    /// One that notices attacks.
    pub(super) fn detecting() -> Self {
        Self {
            state: START,
            pending: [[0; BLOCK_BYTES]; GROUP],
            filled: 0,
            length: 0,
            detects: true,
            found: false,
        }
    }

    /// One that only hashes.
    pub(super) fn plain() -> Self {
        Self { detects: false, ..Self::detecting() }
    }

    /// Takes the next bytes, of any length.
    pub(super) fn update(&mut self, mut bytes: &[u8]) {
        self.length += bytes.len() as u64;
        if self.filled > 0 {
            let pending = self.pending.as_flattened_mut();
            let (now, later) = bytes.split_at(bytes.len().min(pending.len() - self.filled));
            pending[self.filled..self.filled + now.len()].copy_from_slice(now);
            self.filled += now.len();
            bytes = later;
            if self.filled < pending.len() {
                return;
            }
            let full = self.pending;
            self.hash_blocks(&full);
        }
        let whole = bytes.len() - bytes.len() % (GROUP * BLOCK_BYTES);
        let (groups, rest) = bytes.split_at(whole);
        self.hash_blocks(groups.as_chunks().0);
        self.pending.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
        self.filled = rest.len();
    }

    /// The hash.
    ///
    /// # Errors
    /// [`Collision`], if attacks are to be noticed.
    pub(super) fn finalize(mut self) -> Result<[u8; 20], Collision> {
        // The end needs nine bytes: it may spill into another block.
        let mut last = [[0; BLOCK_BYTES]; GROUP + 1];
        let blocks = (self.filled + 9).div_ceil(BLOCK_BYTES);
        let bytes = last.as_flattened_mut();
        bytes[..self.filled].copy_from_slice(&self.pending.as_flattened()[..self.filled]);
        bytes[self.filled] = 0x80;
        let end = blocks * BLOCK_BYTES;
        bytes[end - 8..end].copy_from_slice(&(self.length * 8).to_be_bytes());
        self.hash_blocks(&last[..blocks]);
        if self.found {
            return Err(Collision);
        }
        let mut hash = [0; 20];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        Ok(hash)
    }

    fn hash_blocks(&mut self, blocks: &[MessageBlock]) {
        if !self.detects {
            compress(&mut self.state, blocks);
            return;
        }
        for blocks in blocks.chunks(GROUP) {
            self.hash_group(blocks);
        }
    }

    /// Hashes up to a group of blocks, those by themselves that may be part of an attack.
    fn hash_group(&mut self, blocks: &[MessageBlock]) {
        let kept = u64::MAX >> (GROUP - blocks.len());
        let possible = possible_blocks(&planes(blocks)).map(|blocks| blocks & kept);
        let suspects = possible.iter().fold(0, |all, blocks| all | blocks);
        // Of the suspects, the states before and after them.
        let mut states = [([0; 5], [0; 5]); GROUP];
        let mut done = 0;
        for index in ones(suspects) {
            compress(&mut self.state, &blocks[done..index]);
            let before = self.state;
            compress(&mut self.state, &blocks[index..=index]);
            states[index] = (before, self.state);
            done = index + 1;
        }
        compress(&mut self.state, &blocks[done..]);
        for (vector, blocks_of_it) in possible.into_iter().enumerate() {
            for index in ones(blocks_of_it) {
                let (before, after) = states[index];
                self.found |= attack::collides(before, after, &expand(&blocks[index]), vector);
            }
        }
    }
}

/// The places of the bits that are set.
fn ones(mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        (bits != 0).then(|| {
            bits &= bits - 1;
            place
        })
    })
}

/// The bits that conditions look at, of up to a group of blocks; those of no block mean nothing.
fn planes(blocks: &[MessageBlock]) -> BitPlanes {
    let (lanes, rest) = blocks.as_chunks::<LANES>();
    #[cfg(target_arch = "x86_64")]
    if rest.is_empty() {
        if let Some(planes) = avx2::planes(lanes) {
            return planes;
        }
    } else {
        let mut whole = [[0; BLOCK_BYTES]; GROUP];
        whole[..blocks.len()].copy_from_slice(blocks);
        let lanes = lanes.len() + 1;
        if let Some(planes) = avx2::planes(&whole.as_chunks().0[..lanes]) {
            return planes;
        }
    }
    planes_one_by_one(blocks)
}

/// The same on any machine.
fn planes_one_by_one(blocks: &[MessageBlock]) -> BitPlanes {
    let mut planes = [0; BITS.len()];
    for (index, block) in blocks.iter().enumerate() {
        let words = expand(block);
        for (plane, (word, bit)) in planes.iter_mut().zip(BITS) {
            *plane |= u64::from(words[usize::from(word)] >> bit & 1) << index;
        }
    }
    planes
}

/// The 80 words that a block is expanded to.
fn expand(block: &MessageBlock) -> [u32; 80] {
    let mut words = [0; 80];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_be_bytes(*bytes);
    }
    for at in 16..80 {
        words[at] = (words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16]).rotate_left(1);
    }
    words
}
