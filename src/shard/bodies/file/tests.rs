//! Stored files of two MB on their way, right and wrong.

use std::cell::RefCell;
use std::io::Write;

use bytes::Buf;

use super::*;
use crate::shard::service::tests::support::run;

const LENGTH: u64 = 2 << 20;

/// The end that was reported, if any.
type Reported = Rc<RefCell<Option<ReadEnd>>>;

fn contents() -> Vec<u8> {
    (0..LENGTH).map(|position| (position % 251) as u8).collect()
}

fn reader(contents: &[u8]) -> FileReader {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(contents).unwrap();
    FileReader::new(file.into(), contents.len() as u64)
}

fn report() -> (Reported, EndReport) {
    let reported = Reported::default();
    let told = Rc::clone(&reported);
    (reported, Box::new(move |end| *told.borrow_mut() = Some(end)))
}

/// The bytes that a client gets, and the error that ends them.
async fn received(mut body: FileBody) -> (Vec<u8>, Option<BodyError>) {
    let mut received = Vec::new();
    while let Some(piece) = poll_fn(|context| body.poll_piece(context)).await {
        match piece {
            Ok(piece) => received.extend_from_slice(piece.chunk()),
            Err(error) => return (received, Some(error)),
        }
    }
    (received, None)
}

#[test]
fn a_right_image_is_given_to_its_end_and_reported_right() {
    run(async {
        let (contents, memory) = (contents(), BodyMemory::new(64 << 20));
        let (reported, report) = report();
        let body = FileBody::verifying(reader(&contents), ObjectId::of(&contents), &memory, report);
        let (received, error) = received(body.start().await.unwrap()).await;
        assert!(error.is_none() && received == contents);
        assert!(matches!(reported.take(), Some(ReadEnd::Right)));
        assert_eq!(memory.used(), 0);
    });
}

#[test]
fn the_end_of_a_wrong_image_is_given_to_nobody() {
    run(async {
        let (mut contents, memory) = (contents(), BodyMemory::new(64 << 20));
        let id = ObjectId::of(&contents);
        contents[1000] ^= 1;
        let (reported, report) = report();
        let body = FileBody::verifying(reader(&contents), id, &memory, report);
        let (received, error) = received(body.start().await.unwrap()).await;
        assert!(matches!(error, Some(BodyError::Corrupt)), "{error:?}");
        assert!(received.len() as u64 <= LENGTH - WITHHELD_BYTES, "{}", received.len());
        assert!(matches!(reported.take(), Some(ReadEnd::Wrong)));
    });
}

#[test]
fn a_file_that_became_shorter_is_reported_and_not_given_as_whole() {
    run(async {
        let (contents, memory) = (contents(), BodyMemory::new(64 << 20));
        let (reported, report) = report();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&contents[..contents.len() - 10]).unwrap();
        let reader = FileReader::new(file.into(), LENGTH);
        let body = FileBody::of_image(reader, [0, LENGTH], &memory, report);
        let (received, error) = received(body).await;
        assert!(matches!(error, Some(BodyError::Store(_))), "{error:?}");
        assert!(received.len() < contents.len());
        assert!(matches!(reported.take(), Some(ReadEnd::Unreadable(_))));
    });
}

#[test]
fn a_part_has_exactly_its_bytes_and_a_short_one_is_read_at_once() {
    run(async {
        let (contents, memory) = (contents(), BodyMemory::new(64 << 20));
        let (first, last) = (1_000_001_u64, 1_600_000_u64);
        let (_, ignored) = report();
        match PartBody::of_image(reader(&contents), [first, last], &memory, ignored).await.unwrap() {
            PartBody::File(body) => {
                assert_eq!(received(*body).await.0, contents[first as usize..last as usize]);
            }
            PartBody::Piece(_) => panic!("600 kB at once"),
        }
        let (_, ignored) = report();
        match PartBody::of_image(reader(&contents), [7, 100], &memory, ignored).await.unwrap() {
            PartBody::Piece(piece) => assert_eq!(piece.chunk(), &contents[7..100]),
            PartBody::File(_) => panic!("93 bytes in pieces"),
        }
    });
}

#[test]
fn without_room_in_memory_a_small_piece_is_read_after_the_last_one_has_been_sent() {
    run(async {
        let (contents, memory) = (contents(), BodyMemory::new(0));
        // All that there is.
        let taken = memory.charge(16 << 20);
        let (_, ignored) = report();
        let mut body = FileBody::of_image(reader(&contents), [0, LENGTH], &memory, ignored);
        let first = poll_fn(|context| body.poll_piece(context)).await.unwrap().unwrap();
        assert_eq!(first.remaining() as u64, PIECE_BYTES);
        let second = futures_lite::future::poll_once(poll_fn(|context| body.poll_piece(context))).await;
        assert!(second.is_none(), "read while the first is unsent");
        drop(first);
        let second = poll_fn(|context| body.poll_piece(context)).await.unwrap().unwrap();
        assert_eq!(second.chunk(), &contents[PIECE_BYTES as usize..2 * PIECE_BYTES as usize]);
        drop((second, taken));
    });
}
