//! Two ends of a connection, and everything that a third party may do to what they say.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::cluster::layout::LayoutHash;

const ASKED: Question<'_> = Question { method: "GET", target: "/cluster/v1/has/00?a=b" };

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; 16])
}

fn identity_of(number: u8, cluster: &str, secrets: &[&str]) -> Arc<Identity> {
    let secrets: Vec<_> = secrets.iter().map(|secret| (*secret).to_owned()).collect();
    Arc::new(Identity::new(node(number), Label::parse(cluster).unwrap(), &secrets))
}

fn identity(number: u8) -> Arc<Identity> {
    identity_of(number, "one", &["secret"])
}

fn fields(metadata: &str) -> SignedFields<'_> {
    let layout = LayoutHash::parse("00112233445566778899aabbccddeeff").ok();
    SignedFields { layout, metadata }
}

fn digest() -> Digest {
    Digest::of(b"body")
}

/// A connection on which both ends have met.
fn met(client: Arc<Identity>, server: Arc<Identity>, nonces: [u8; 2]) -> (ClientHandshake, ServerHandshake) {
    let (mut client, handshake) = ClientHandshake::new(client, [nonces[0]; 16]);
    let mut server = ServerHandshake::new(server);
    let challenge = server.accept_handshake(handshake.as_bytes(), [nonces[1]; 16]).unwrap();
    client.accept_challenge(challenge.as_bytes()).unwrap();
    (client, server)
}

fn pair() -> (ClientHandshake, ServerHandshake) {
    met(identity(1), identity(2), [3, 4])
}

fn text(proof: &Proof) -> Option<Vec<u8>> {
    Some(proof.to_string().into_bytes())
}

fn signed(client: &mut ClientHandshake) -> Vec<u8> {
    client.sign(&ASKED, &fields("a=1"), digest()).unwrap().to_string().into_bytes()
}

fn check(server: &mut ServerHandshake, proof: &[u8]) -> Result<(NodeId, Digest), AuthError> {
    server.check(&ASKED, &fields("a=1"), Some(proof))
}

#[test]
fn requests_and_answers_of_both_ends_are_believed_in_order() {
    let (mut client, mut server) = pair();
    for _ in 0..3 {
        let proof = signed(&mut client);
        assert_eq!(check(&mut server, &proof), Ok((node(1), digest())));
        let image = Digest::Image(ObjectId::from_digest([9; 20]));
        let answer = server.sign(200, &fields("b=2"), image).unwrap();
        assert_eq!(client.check(200, &fields("b=2"), text(&answer).as_deref()), Ok(image));
    }
}

#[test]
fn each_end_learns_who_the_other_is() {
    let (mut client, handshake) = ClientHandshake::new(identity(1), [3; 16]);
    let challenge =
        ServerHandshake::new(identity(2)).accept_handshake(handshake.as_bytes(), [4; 16]).unwrap();
    assert_eq!(client.accept_challenge(challenge.as_bytes()), Ok(node(2)));
}

#[test]
fn nothing_is_believed_before_a_hello_nor_after_a_second_one() {
    let (mut client, mut server) = pair();
    let (_, handshake) = ClientHandshake::new(identity(1), [3; 16]);
    let proof = signed(&mut client);
    assert_eq!(check(&mut ServerHandshake::new(identity(2)), &proof), Err(AuthError::Unsigned));
    assert_eq!(server.accept_handshake(handshake.as_bytes(), [5; 16]), Err(AuthError::Over));
    assert_eq!(check(&mut server, &proof), Err(AuthError::Over));
}

#[test]
fn a_request_without_a_proof_is_refused_and_ends_the_connection() {
    let (mut client, mut server) = pair();
    assert_eq!(server.check(&ASKED, &fields("a=1"), None), Err(AuthError::Unsigned));
    let proof = signed(&mut client);
    assert_eq!(check(&mut server, &proof), Err(AuthError::Over));
    assert!(server.sign(200, &fields(""), digest()).is_none());
}

#[test]
fn a_request_that_is_said_twice_is_refused() {
    let (mut client, mut server) = pair();
    let proof = signed(&mut client);
    assert!(check(&mut server, &proof).is_ok());
    assert_eq!(check(&mut server, &proof), Err(AuthError::Number));
}

#[test]
fn a_request_of_another_connection_is_refused() {
    let (mut client, _) = pair();
    let proof = signed(&mut client);
    // The same hello said again: the server's random number is another one.
    let (_, mut server) = met(identity(1), identity(2), [3, 5]);
    assert_eq!(check(&mut server, &proof), Err(AuthError::Proof));
    // Another server that happens to draw the same number.
    let (_, mut server) = met(identity(1), identity(6), [3, 4]);
    assert_eq!(check(&mut server, &proof), Err(AuthError::Proof));
    // Another client.
    let (_, mut server) = met(identity(6), identity(2), [3, 4]);
    assert_eq!(check(&mut server, &proof), Err(AuthError::Proof));
}

#[test]
fn requests_in_another_order_are_refused() {
    let (mut client, mut server) = pair();
    let proofs = [signed(&mut client), signed(&mut client)];
    assert_eq!(check(&mut server, &proofs[1]), Err(AuthError::Number));
    assert_eq!(check(&mut server, &proofs[0]), Err(AuthError::Over));
}

#[test]
fn whatever_is_changed_in_a_request_is_noticed() {
    let changed: [(Question<'_>, SignedFields<'_>); 5] = [
        (Question { method: "PUT", ..ASKED }, fields("a=1")),
        (Question { target: "/cluster/v1/has/01?a=b", ..ASKED }, fields("a=1")),
        (Question { target: "/cluster/v1/has/00?a=c", ..ASKED }, fields("a=1")),
        (ASKED, fields("a=2")),
        (ASKED, SignedFields { layout: None, metadata: "a=1" }),
    ];
    for (question, said) in changed {
        let (mut client, mut server) = pair();
        let proof = signed(&mut client);
        assert_eq!(server.check(&question, &said, Some(&proof)), Err(AuthError::Proof), "{question:?}");
    }
}

#[test]
fn a_proof_with_another_digest_or_number_is_refused() {
    let (mut client, _) = pair();
    let proof = client.sign(&ASKED, &fields("a=1"), digest()).unwrap();
    let other = [
        Proof { digest: Digest::of(b"other"), ..proof.clone() },
        Proof { digest: Digest::Image(ObjectId::from_digest([0; 20])), ..proof.clone() },
        Proof { number: 2, ..proof },
    ];
    for proof in other {
        let (_, mut server) = pair();
        assert_eq!(check(&mut server, &text(&proof).unwrap()), Err(AuthError::Proof));
    }
}

#[test]
fn whatever_is_changed_in_an_answer_is_noticed() {
    let (mut client, mut server) = pair();
    let proof = signed(&mut client);
    check(&mut server, &proof).unwrap();
    let answer = server.sign(404, &fields("b=2"), digest()).unwrap();
    assert_eq!(client.check(200, &fields("b=2"), text(&answer).as_deref()), Err(AuthError::Proof));
    assert_eq!(client.check(404, &fields("b=3"), text(&answer).as_deref()), Err(AuthError::Proof));
    assert_eq!(client.check(404, &fields("b=2"), None), Err(AuthError::Unsigned));
    let longer = Proof { digest: Digest::of(b"more"), ..answer.clone() };
    assert_eq!(client.check(404, &fields("b=2"), text(&longer).as_deref()), Err(AuthError::Proof));
    assert_eq!(client.check(404, &fields("b=2"), text(&answer).as_deref()), Ok(digest()));
}

#[test]
fn an_answer_to_an_earlier_request_is_refused() {
    let (mut client, mut server) = pair();
    let proof = signed(&mut client);
    check(&mut server, &proof).unwrap();
    let answer = server.sign(200, &fields(""), digest()).unwrap();
    signed(&mut client);
    assert_eq!(client.check(200, &fields(""), text(&answer).as_deref()), Err(AuthError::Number));
}

#[test]
fn what_is_sent_back_to_where_it_came_from_is_refused() {
    // Both ends are one node, with equal random numbers: only the kind of text tells them apart.
    let (mut client, mut server) = met(identity(1), identity(1), [3, 3]);
    let proof = signed(&mut client);
    assert_eq!(client.check(200, &fields("a=1"), Some(&proof)), Err(AuthError::Proof));
    check(&mut server, &proof).unwrap();
    let answer = server.sign(200, &fields("a=1"), digest()).unwrap();
    assert_eq!(check(&mut server, &text(&answer).unwrap()), Err(AuthError::Proof));
    let (mut client, handshake) = ClientHandshake::new(identity(1), [3; 16]);
    assert_eq!(client.accept_challenge(handshake.as_bytes()), Err(AuthError::Proof));
}

#[test]
fn other_clusters_versions_and_secrets_are_refused_by_both_ends() {
    let others = [
        (identity_of(1, "two", &["secret"]), AuthError::Cluster),
        (identity_of(1, "one", &["Secret"]), AuthError::Proof),
    ];
    for (other, refusal) in others {
        let (_, handshake) = ClientHandshake::new(Arc::clone(&other), [3; 16]);
        assert_eq!(
            ServerHandshake::new(identity(2)).accept_handshake(handshake.as_bytes(), [4; 16]),
            Err(refusal)
        );
        let challenge =
            ServerHandshake::new(Arc::clone(&other)).accept_handshake(handshake.as_bytes(), [4; 16]).unwrap();
        assert_eq!(
            ClientHandshake::new(identity(2), [3; 16]).0.accept_challenge(challenge.as_bytes()),
            Err(refusal)
        );
    }
    let (_, handshake) = ClientHandshake::new(identity(1), [3; 16]);
    let newer = format!("2{}", &handshake[1..]);
    assert_eq!(
        ServerHandshake::new(identity(2)).accept_handshake(newer.as_bytes(), [4; 16]),
        Err(AuthError::Version)
    );
    let later = b"2 and whatever that version says";
    assert_eq!(ClientHandshake::new(identity(1), [3; 16]).0.accept_challenge(later), Err(AuthError::Version));
}

#[test]
fn the_first_secret_signs_and_all_verify() {
    let (old, both) = (identity_of(1, "one", &["old"]), identity_of(2, "one", &["new", "old"]));
    let (_, handshake) = ClientHandshake::new(Arc::clone(&old), [3; 16]);
    let challenge =
        ServerHandshake::new(Arc::clone(&both)).accept_handshake(handshake.as_bytes(), [4; 16]).unwrap();
    // The old one does not know the new secret yet: first every node has to verify it.
    assert_eq!(
        ClientHandshake::new(old, [3; 16]).0.accept_challenge(challenge.as_bytes()),
        Err(AuthError::Proof)
    );
    let ready = identity_of(3, "one", &["old", "new"]);
    for (client, server) in [(Arc::clone(&ready), Arc::clone(&both)), (both, ready)] {
        let (mut client, mut server) = met(client, server, [5, 6]);
        let proof = signed(&mut client);
        assert!(check(&mut server, &proof).is_ok());
        let answer = server.sign(200, &fields(""), digest()).unwrap();
        assert!(client.check(200, &fields(""), text(&answer).as_deref()).is_ok());
    }
}

#[test]
fn secrets_are_rotated_while_connections_stay_open() {
    let (one, two) = (identity_of(1, "one", &["old"]), identity_of(2, "one", &["old"]));
    let (mut client, mut server) = met(Arc::clone(&one), Arc::clone(&two), [5, 6]);
    let mut speak = || {
        let proof = signed(&mut client);
        check(&mut server, &proof)
    };
    assert!(speak().is_ok());
    for secrets in [["old", "new"], ["new", "old"]] {
        let secrets = secrets.map(str::to_owned);
        two.replace_secrets(&secrets);
        assert!(speak().is_ok());
        one.replace_secrets(&secrets);
        assert!(speak().is_ok());
    }
    two.replace_secrets(&["new".to_owned()]);
    assert!(speak().is_ok());
    one.replace_secrets(&["old".to_owned()]);
    assert_eq!(speak(), Err(AuthError::Proof));
}

#[test]
fn a_node_without_secrets_believes_nobody_and_is_believed_by_nobody() {
    for none in [&[][..], &[""]] {
        let without = identity_of(2, "one", none);
        assert!(!without.is_secret() && identity(1).is_secret());
        // Neither one that proves itself by an empty key, nor one that has no secret either, nor itself.
        for other in [identity(1), identity_of(1, "one", none), Arc::clone(&without)] {
            let (_, handshake) = ClientHandshake::new(Arc::clone(&other), [3; 16]);
            let heard =
                ServerHandshake::new(Arc::clone(&without)).accept_handshake(handshake.as_bytes(), [4; 16]);
            assert_eq!(heard.err(), Some(AuthError::Proof));
            let (_, handshake) = ClientHandshake::new(Arc::clone(&without), [3; 16]);
            assert_eq!(
                ServerHandshake::new(other).accept_handshake(handshake.as_bytes(), [4; 16]).err(),
                Some(AuthError::Proof)
            );
        }
    }
    // With a secret that it learns it is one of them.
    let learning = identity_of(2, "one", &[]);
    learning.replace_secrets(&["secret".to_owned()]);
    let (_, handshake) = ClientHandshake::new(learning, [3; 16]);
    assert!(ServerHandshake::new(identity(1)).accept_handshake(handshake.as_bytes(), [4; 16]).is_ok());
}

#[test]
fn a_fingerprint_is_of_the_key_and_the_secret_and_there_is_one_for_each() {
    let prints = |secrets: &[&str], key| identity_of(1, "one", secrets).fingerprints(key);
    assert_eq!(prints(&["old", "new"], "k")[1], prints(&["new"], "k")[0]);
    assert_eq!(prints(&["old"], "k"), identity_of(2, "two", &["old"]).fingerprints("k"));
    assert_ne!(prints(&["old"], "k"), prints(&["new"], "k"));
    assert_ne!(prints(&["old"], "k"), prints(&["old"], "l"));
    assert!(prints(&[], "k").is_empty());
}

#[test]
fn facts_are_found_by_their_names() {
    let metadata = PeerMetadata::new("a=1 bc= d=x=y e");
    assert_eq!(
        ["a", "bc", "d", "e", "b", ""].map(|key| metadata.get(key)),
        [Some("1"), Some(""), Some("x=y"), None, None, None]
    );
}

/// Everything that a stranger may send, in any order and of any bytes.
fn hear(server: &mut ServerHandshake, bytes: &[u8], step: u8) -> bool {
    match step % 3 {
        0 => server.accept_handshake(bytes, [4; 16]).is_ok(),
        1 => server.check(&ASKED, &fields("a=1"), Some(bytes)).is_ok(),
        _ => server.check(&ASKED, &fields("a=1"), None).is_ok(),
    }
}

proptest! {
    #[test]
    fn no_bytes_of_a_stranger_are_believed(steps in proptest::collection::vec((any::<Vec<u8>>(), any::<u8>()), 0..6)) {
        let mut server = ServerHandshake::new(identity(2));
        let (mut client, _) = ClientHandshake::new(identity(1), [3; 16]);
        for (bytes, step) in steps {
            prop_assert!(!hear(&mut server, &bytes, step));
            prop_assert!(client.accept_challenge(&bytes).is_err());
            prop_assert!(client.check(200, &fields(""), Some(&bytes)).is_err());
        }
    }

    #[test]
    fn a_hello_or_a_proof_with_any_byte_changed_is_refused(at in any::<prop::sample::Index>(), change in 1..=255u8) {
        let changed = |mut bytes: Vec<u8>| {
            let at = at.index(bytes.len());
            bytes[at] ^= change;
            bytes
        };
        let (mut client, handshake) = ClientHandshake::new(identity(1), [3; 16]);
        let handshake = handshake.into_bytes();
        prop_assert!(ServerHandshake::new(identity(2)).accept_handshake(&changed(handshake.clone()), [4; 16]).is_err());
        let mut server = ServerHandshake::new(identity(2));
        let challenge = server.accept_handshake(&handshake, [4; 16]).unwrap().into_bytes();
        prop_assert!(client.clone().accept_challenge(&changed(challenge.clone())).is_err());
        client.accept_challenge(&challenge).unwrap();
        let proof = signed(&mut client);
        prop_assert!(check(&mut server.clone(), &changed(proof.clone())).is_err());
        check(&mut server, &proof).unwrap();
        let answer = server.sign(200, &fields(""), digest()).unwrap().to_string().into_bytes();
        prop_assert!(client.check(200, &fields(""), Some(&changed(answer))).is_err());
    }

    #[test]
    fn proofs_print_what_they_parsed(number in any::<u64>(), bytes in any::<[u8; 32]>(), image in any::<Option<[u8; 20]>>()) {
        let digest = image.map_or(Digest::Bytes(bytes), |id| Digest::Image(ObjectId::from_digest(id)));
        let proof = Proof { number, digest, mac: bytes };
        prop_assert_eq!(Proof::parse(proof.to_string().as_bytes()), Ok(proof));
    }
}
