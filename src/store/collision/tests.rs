//! The published collisions are noticed, nothing else is, and the hash is that of everybody else.

use sha1::{Digest, Sha1};

use super::attack::{self, DIFFERENCES};
use super::conditions::possible_blocks;
use super::{BLOCK_BYTES, CollisionHasher, GROUP, expand, planes, planes_one_by_one};

/// The first bytes of both files of the SHAttered attack (2017).
const SHATTERED: &str = "\
    255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f4865696768742033\
    203020522f547970652034203020522f537562747970652035203020522f46696c7465722036203020522f436f6c6f72\
    53706163652037203020522f4c656e6774682038203020522f42697473506572436f6d706f6e656e7420383e3e0a7374\
    7265616d0affd8fffe00245348412d3120697320646561642121212121852fec092339759c39b1a1c63c4c97e1fffe01";

/// The first file continues with two blocks on which the hashes collide.
const SHATTERED_ONE: &str = "\
    7346dc9166b67e118f029ab621b2560ff9ca67cca8c7f85ba84c79030c2b3de218f86db3a90901d5df45c14f26fedfb3\
    dc38e96ac22fe7bd728f0e45bce046d23c570feb141398bb552ef5a0a82be331fea48037b8b5d71f0e332edf93ac3500\
    eb4ddc0decc1a864790c782c76215660dd309791d06bd0af3f98cda4bc4629b1";

/// And in the other.
const SHATTERED_OTHER: &str = "\
    7f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb7\
    6038e972722fe7ad728f0e4904e046c230570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514\
    e74ddc0f2cc1a874cd0c78305a21566461309789606bd0bf3f98cda8044629a1";

/// A file of the chosen-prefix attack "SHA-1 is a Shambles" (2020).
const SHAMBLES: &str = "\
    99040d047fe81780012000ff4b65792069732070617274206f66206120636f6c6c6973696f6e21204974277320612074\
    7261702179c61af0afcc054515d9274e7307624b1dc7fb23988bb8de8b575dba7b9eab31c1674b6d974378a827732ff5\
    851c76a2e60772b5a47ce1eac40bb993c12d8c70e24a4f8d5fcdedc1b32c9cf19e31af2429759d42e4dfdb31719f5876\
    23ee552939b6dcdc459fca53553b70f87ede30a247ea3af6c759a2f20b320d760db64ff479084fd3ccb3cdd48362d96a\
    9c430617caff6c36c637e53fde28417f626fec54ed7943a46e5f5730f2bb38fb1df6e0090010d00e24ad78bf92641993\
    608e8d158a789f34c46fe1e6027f35a4cbfb827076c50eca0e8b7cca69bb2c2b790259f9bf9570dd8d4437a3115faff7\
    c3cac09ad25266055c27104755178eaeff825a2caa2acfb5de64ce7641dc59a541a9fc9c756756e2e23dc713c8c24c97\
    90aa6b0e38a7f55f14452a1ca2850ddd9562fd9a18ad42496aa97008f74672f68ef461eb88b09933d626b4f918749cc0\
    27fddd6c425fc4216835d0134d15285bab2cb784a4f7cbb4fb514d4bf0f6237cf00a9e9f132b9a066e6fd17f6c429874\
    78586ff651af96747fb426b9872b9a88e4063f59bb334cc00650f83a80c42751b71974d300fc2819a2e8f1e32c1b51cb\
    18e6bfc4db9baef675d4aaf5b1574a047f8f6dd2ec153a93412293974d928f88ced9363cfef97ce2e742bf34c96b8ef3\
    875676fea5cca8e5f7dea0bab2413d4de00ee71ee01f162bdb6d1eafd925e6aebaae6a354ef17cf205a404fbdb12fc45\
    4d41fdd95cf2459664a2ad032d1da60a73264075d7f1e0d6c1403ae7a0d861df3fe5707188dd5e07d1589b9f8b663055\
    3f8fc352b3e0c27da80bddba4c64020d";

fn bytes(hex: &[&str]) -> Vec<u8> {
    let digits = hex.concat();
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The starts of the two files of the SHAttered attack.
pub(in crate::store) fn shattered() -> [Vec<u8>; 2] {
    [bytes(&[SHATTERED, SHATTERED_ONE]), bytes(&[SHATTERED, SHATTERED_OTHER])]
}

fn checked(bytes: &[u8]) -> Result<[u8; 20], super::Collision> {
    let mut hasher = CollisionHasher::detecting();
    hasher.update(bytes);
    hasher.finalize()
}

/// Bytes that look random.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

#[test]
fn both_files_of_a_collision_are_noticed_and_their_common_start_is_not() {
    let [one, other] = shattered();
    assert_ne!(one, other);
    assert_eq!(Sha1::digest(&one), Sha1::digest(&other));
    for (name, file) in [("one", &one), ("other", &other), ("shambles", &bytes(&[SHAMBLES]))] {
        assert!(checked(file).is_err(), "{name}");
        // With any bytes after them, in pieces of any size.
        let long = [&file[..], &noise(5_000, 1)].concat();
        for piece in [1, 63, 64, 65, 4_095, 4_096, 5_320] {
            let mut hasher = CollisionHasher::detecting();
            long.chunks(piece).for_each(|piece| hasher.update(piece));
            assert!(hasher.finalize().is_err(), "{name}, {piece}");
        }
        let mut plain = CollisionHasher::plain();
        plain.update(file);
        assert_eq!(plain.finalize(), Ok(Sha1::digest(file).into()), "{name}");
    }
    let start = bytes(&[SHATTERED]);
    assert_eq!(checked(&start), Ok(Sha1::digest(&start).into()));
    // The blocks do harm only after the state that they were made for.
    let moved = [&[0; BLOCK_BYTES][..], &one].concat();
    assert_eq!(checked(&moved), Ok(Sha1::digest(&moved).into()));
}

#[test]
fn every_other_hash_is_that_of_the_library() {
    for length in (0..200).chain([4_031, 4_032, 4_095, 4_096, 4_097, 4_150, 4_151, 4_152, 8_192, 100_000]) {
        let data = noise(length, length as u64);
        let expected: [u8; 20] = Sha1::digest(&data).into();
        for piece in [1, 60, 64, 100, 4_096, 5_000] {
            let (mut detecting, mut plain) = (CollisionHasher::detecting(), CollisionHasher::plain());
            for piece in data.chunks(piece) {
                detecting.update(piece);
                plain.update(piece);
            }
            assert_eq!(
                (detecting.finalize(), plain.finalize()),
                (Ok(expected), Ok(expected)),
                "{length}, {piece}"
            );
        }
    }
}

#[test]
fn all_ways_to_judge_conditions_agree() {
    let mut some = 0;
    for (seed, count) in (1..=GROUP).chain([GROUP; 200]).enumerate() {
        let data = noise(count * BLOCK_BYTES, seed as u64);
        let blocks: &[[u8; BLOCK_BYTES]] = data.as_chunks().0;
        let kept = u64::MAX >> (GROUP - count);
        let judged = |planes| possible_blocks(&planes).map(|blocks| blocks & kept);
        assert_eq!(judged(planes(blocks)), judged(planes_one_by_one(blocks)), "{count}");
        some += judged(planes(blocks)).iter().fold(0, |all, blocks| all | blocks).count_ones();
    }
    // Where no vector ever remained, all would agree whatever the rows say: one block in twenty of 14,880 keeps some.
    assert!((500..1_000).contains(&some), "{some}");
}

#[test]
fn differences_are_those_of_messages() {
    for (at, words) in DIFFERENCES.iter().enumerate() {
        for step in 16..80 {
            let sum = words[step - 3] ^ words[step - 8] ^ words[step - 14] ^ words[step - 16];
            assert_eq!(words[step], sum.rotate_left(1), "vector {at}, step {step}");
        }
    }
}

#[test]
fn a_sibling_that_ends_elsewhere_is_no_collision() {
    let block: [u8; BLOCK_BYTES] = noise(64, 3).try_into().expect("a block");
    let mut after = super::START;
    super::compress(&mut after, &[block]);
    assert!((0..32).all(|vector| !attack::collides(super::START, after, &expand(&block), vector)));
}
