//! Good requests are read as they were meant, and every bad one has its answer.

use super::*;
use proptest::prelude::*;

fn command(text: &str) -> Command {
    decode(text.as_bytes()).expect("a good request").command
}

fn code(text: &str) -> ErrorCode {
    decode(text.as_bytes()).expect_err("a bad request").1.code
}

fn room(id: &str) -> RoomId {
    RoomId::parse(id).unwrap()
}

#[test]
fn data_is_taken_as_it_was_sent() {
    let sent = r#"{"type":"publish","room":"r","event":"e","data": {"a": 1.50, "b":[ ]} }"#;
    let Command::Publish { body, echo, ephemeral, .. } = command(sent) else { panic!() };
    assert_eq!(body.arguments, Arguments::new(r#"{"a": 1.50, "b":[ ]}"#, 1));
    assert!(echo && !ephemeral);
}

#[test]
fn null_is_data_too() {
    let sent = r#"{"type":"publish","room":"r","event":"e","data":null}"#;
    let Command::Publish { body, .. } = command(sent) else { panic!() };
    assert_eq!(body.arguments, Arguments::new("null", 1));
}

#[test]
fn args_lose_only_their_brackets() {
    for (args, inner, count) in
        [("[]", "", 0), ("[ 1 , \"]\" ]", "1 , \"]\"", 2), ("[[1],[2]]", "[1],[2]", 2)]
    {
        let sent = format!(r#"{{"type":"send","to":"bob","event":"e","args":{args}}}"#);
        let Command::Send { body, .. } = command(&sent) else { panic!() };
        assert_eq!(body.arguments, Arguments::new(inner, count));
    }
}

#[test]
fn unknown_fields_are_ignored() {
    let sent = r#"{"type":"leave","room":"r","colour":"red"}"#;
    assert_eq!(command(sent), Command::Leave { room: room("r") });
}

#[test]
fn escapes_in_names_are_read() {
    let sent = r#"{"type":"leave","room":"caf\u00e9"}"#;
    assert_eq!(command(sent), Command::Leave { room: room("café") });
}

#[test]
fn an_error_carries_the_id_when_it_could_be_read() {
    let (id, problem) = decode(br#"{"type":"join","id":7}"#).unwrap_err();
    assert_eq!((id, problem.code), (Some(7), ErrorCode::BadRequest));
    for bad in ["-1", "1.5", "9007199254740992", "\"7\""] {
        let sent = format!(r#"{{"type":"ping","id":{bad}}}"#);
        assert_eq!(decode(sent.as_bytes()).unwrap_err().0, None);
    }
}

#[test]
fn an_array_is_not_taken_for_an_object() {
    let (id, problem) =
        decode(format!("[\"ping\",5{}]", ",null".repeat(12)).as_bytes()).expect_err("an array");
    assert_eq!((id, problem.code), (None, ErrorCode::BadRequest));
    assert!(!problem.message.contains("struct"), "{}", problem.message);
    assert_eq!(code(r#"{"type":"join","room":"r","after":["e",1]}"#), ErrorCode::BadRequest);
}

#[test]
fn each_mistake_has_its_code() {
    let long = "x".repeat(257);
    assert_eq!(code("nonsense"), ErrorCode::BadRequest);
    assert_eq!(code("[]"), ErrorCode::BadRequest);
    assert_eq!(code("{}"), ErrorCode::BadRequest);
    assert_eq!(code(r#"{"type":3}"#), ErrorCode::BadRequest);
    assert_eq!(code(r#"{"type":"dance"}"#), ErrorCode::UnknownType);
    assert_eq!(code(r#"{"type":"join","room":7}"#), ErrorCode::BadRequest);
    assert_eq!(code(r#"{"type":"join","room":""}"#), ErrorCode::BadRequest);
    assert_eq!(code(r#"{"type":"join","room":"a\u0007b"}"#), ErrorCode::BadRequest);
    assert_eq!(code(&format!(r#"{{"type":"join","room":"{long}"}}"#)), ErrorCode::TooLarge);
    assert_eq!(code(r#"{"type":"join","room":"r","after":5}"#), ErrorCode::BadRequest);
    assert_eq!(
        code(&format!(r#"{{"type":"publish","room":"r","event":"e","data":1,"key":"{long}"}}"#)),
        ErrorCode::TooLarge
    );
    assert_eq!(code(r#"{"type":"publish","room":"r","event":"e"}"#), ErrorCode::BadRequest);
    assert_eq!(
        code(r#"{"type":"publish","room":"r","event":"connect","data":1}"#),
        ErrorCode::BadRequest
    );
    assert_eq!(
        code(r#"{"type":"publish","room":"r","event":"e","data":1,"echo":"no"}"#),
        ErrorCode::BadRequest
    );
    assert_eq!(code(r#"{"type":"history","room":"r","limit":1001}"#), ErrorCode::BadRequest);
    assert_eq!(code(r#"{"type":"history","room":"r","limit":0}"#), ErrorCode::BadRequest);
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".*") {
        let _ = decode(text.as_bytes());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_fields_make_it_panic(
        kind in "(join|leave|publish|send|history|presence|auth|ping)",
        fields in proptest::collection::vec(
            (
                "(id|room|to|event|data|args|key|ephemeral|echo|after|before|limit|token)",
                "(null|true|-1|1e99|\"\"|\"x\"|\\[\\]|\\[ 1, 2\\]|\\{\\}|\\{\"epoch\":\"e\",\"offset\":1\\})",
            ),
            0..6,
        ),
    ) {
        let fields: String = fields.iter().map(|(name, value)| format!(",\"{name}\":{value}")).collect();
        let text = format!("{{\"type\":\"{kind}\"{fields}}}");
        let _ = decode(text.as_bytes());
    }
}
