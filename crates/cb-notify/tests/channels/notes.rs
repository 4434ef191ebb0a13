//! What was taken and has something to it all the same: whoever tests a channel is told.

use cb_core::{NoticeKind, Severity};
use cb_notify::channels::Kind;
use cb_notify::{Answer, End};

use crate::server::{Server, reply};
use crate::{http, notice, tell};

async fn tested(kind: Kind, server: &Server) -> Answer {
    let mut notice = notice(Severity::Info, "A test", "");
    notice.kind = NoticeKind::Test;
    tell(kind, server, &notice).await
}

#[tokio::test]
async fn what_is_only_accepted_is_told_as_such_by_every_service() {
    for kind in http() {
        let server = Server::start(move |_| match kind {
            // These say in their body that they have taken it.
            Kind::Slack => reply(202, "ok"),
            Kind::Telegram => reply(202, r#"{"ok":true}"#),
            Kind::Pushover => reply(202, r#"{"status":1}"#),
            _ => reply(202, ""),
        })
        .await;
        let answer = tested(kind, &server).await;
        assert_eq!((answer.end, answer.error), (End::Delivered, None), "{kind:?}");
        assert!(answer.note.is_some_and(|note| note.contains("Check there whether it arrived")), "{kind:?}");
    }
}

#[tokio::test]
async fn a_test_in_an_encrypted_room_says_that_the_message_is_not() {
    const STATE: &str = "/_matrix/client/v3/rooms/!ab%2Fc:matrix.lan/state/m.room.encryption";
    for (encrypted, status, body) in [
        (true, 200, r#"{"algorithm":"m.megolm.v1.aes-sha2"}"#),
        (false, 404, r#"{"errcode":"M_NOT_FOUND","error":"Event not found."}"#),
        (false, 403, r#"{"errcode":"M_FORBIDDEN","error":"You aren't a member of the room"}"#),
        (false, 200, "<html>"),
    ] {
        let server = Server::start(move |heard| match heard.method.as_str() {
            "PUT" => reply(200, r#"{"event_id":"$1"}"#),
            _ => reply(status, body),
        })
        .await;
        let answer = tested(Kind::Matrix, &server).await;
        assert_eq!((answer.end, answer.error), (End::Delivered, None));
        let said = answer.note.is_some_and(|note| note.contains("was sent unencrypted"));
        assert_eq!(said, encrypted, "{body}");
        let heard = server.heard();
        assert_eq!((heard.len(), heard[1].method.as_str(), heard[1].path.as_str()), (2, "GET", STATE));
        assert_eq!(heard[1].header("authorization"), "Bearer syt_geheim_4711");
        // Nothing is asked besides where nobody looks.
        tell(Kind::Matrix, &server, &notice(Severity::Info, "Scan finished", "")).await;
        assert_eq!(server.heard().len(), 3);
    }
    // What was not taken is not looked into.
    let server = Server::start(|_| reply(403, "{}")).await;
    assert_eq!(tested(Kind::Matrix, &server).await.end, End::Refused);
    assert_eq!(server.heard().len(), 1);
}
