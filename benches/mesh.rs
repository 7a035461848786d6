//! What does a question to another shard cost? `cargo bench --bench mesh -- [--quick] [NAME]`.
//!
//! First the books and the mailboxes alone, on one thread. Then a whole hop between two executors on two cores, there and
//! back: what a request pays whose id another shard holds. The asked shard answers at once.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use futures_lite::future::{block_on, zip};
use glommio::{LocalExecutorBuilder, Placement};
use reticulum::object::ObjectId;
use reticulum::shard::mesh::Mesh;
use reticulum::shard::message::{Message, ShardReply, ShardRequest};

fn books(criterion: &mut Criterion) {
    let [(to_asking, its_mailbox), (to_asked, mailbox)] = mailboxes();
    let senders = vec![to_asking, to_asked];
    let asking = Mesh::new(0, senders.clone(), Arc::default());
    let asked = Mesh::new(1, senders, Arc::default());
    criterion.bench_function("question and answer, one thread", |bencher| {
        bencher.iter(|| {
            let answer = async {
                reply(&asked, mailbox.try_recv().expect("the question"));
                complete(&asking, its_mailbox.try_recv().expect("the answer"));
            };
            block_on(zip(asking.ask(1, question()), answer)).0.expect("an answer");
        });
    });
}

fn hop(criterion: &mut Criterion) {
    criterion.bench_function("question and answer, two cores", |bencher| bencher.iter_custom(hops));
}

/// So many hops, one after another.
fn hops(count: u64) -> Duration {
    let [(to_asking, its_mailbox), (to_asked, mailbox)] = mailboxes();
    let senders = vec![to_asking, to_asked.clone()];
    let senders_of_asked = senders.clone();
    let asked = LocalExecutorBuilder::new(Placement::Fixed(1)).spawn(move || async move {
        let asked = Mesh::new(1, senders_of_asked, Arc::default());
        while let Ok(message) = mailbox.recv_async().await {
            if let Message::Stop = message {
                break;
            }
            reply(&asked, message);
        }
    });
    let work = move || async move {
        let asking = Rc::new(Mesh::new(0, senders, Arc::default()));
        let pump = glommio::spawn_local({
            let asking = Rc::clone(&asking);
            async move {
                while let Ok(message) = its_mailbox.recv_async().await {
                    complete(&asking, message);
                }
            }
        });
        let start = Instant::now();
        for _ in 0..count {
            asking.ask(1, question()).await.expect("an answer");
        }
        let took = start.elapsed();
        pump.cancel().await;
        took
    };
    let asking = LocalExecutorBuilder::new(Placement::Fixed(0)).spawn(work).expect("an executor");
    let took = asking.join().expect("hops");
    // Both shards hold a sender of every mailbox, so none closes by itself.
    to_asked.send(Message::Stop).expect("room");
    asked.expect("an executor").join().expect("answers");
    took
}

/// Those of the two shards of a node.
fn mailboxes() -> [(flume::Sender<Message>, flume::Receiver<Message>); 2] {
    Mesh::mailboxes(2).try_into().expect("two mailboxes")
}

fn question() -> ShardRequest {
    ShardRequest::Find(ObjectId::from_digest([0; 20]))
}

fn reply(mesh: &Mesh, message: Message) {
    let Message::Request { from, ticket, .. } = message else { panic!("only questions are sent") };
    mesh.answer(from, ticket, Some(ShardReply::Noted));
}

fn complete(mesh: &Mesh, message: Message) {
    let Message::Reply { ticket, reply } = message else { panic!("only answers are sent") };
    mesh.complete(ticket, reply);
}

criterion_group!(mesh, books, hop);
criterion_main!(mesh);
