use proptest::prelude::*;

use super::*;

fn body(args: &str) -> Result<Body, BodyError> {
    Body::from_json_array("e", args)
}

#[test]
fn base64_becomes_a_placeholder_and_comes_back() {
    let body = body(r#"[ {"a":[{"$base64":"AAEC"},1]}, "x", { "$base64" : "/w==" } ]"#).unwrap();
    assert_eq!(body.arguments.count(), 3);
    assert_eq!(
        body.arguments.json(),
        r#"{"a":[{"_placeholder":true,"num":0},1]}, "x", {"_placeholder":true,"num":1}"#
    );
    assert_eq!(body.attachments, [Bytes::from_static(b"\0\x01\x02"), Bytes::from_static(b"\xff")]);
    assert_eq!(body.to_json_array(), r#"[{"a":[{"$base64":"AAEC"},1]}, "x", {"$base64":"/w=="}]"#);
}

#[test]
fn arguments_without_binary_stay_as_they_were_written() {
    for args in ["[]", "[1,  2.50]", r#"["{\"$base64\":\"AA==\"}"]"#, r#"[{"$base64":1}]"#] {
        let body = body(args).unwrap();
        assert!(body.attachments.is_empty());
        assert_eq!(body.to_json_array(), args);
    }
}

#[test]
fn an_object_with_more_than_base64_is_no_binary() {
    let args = r#"[{"$base64":"AA==","x":1}]"#;
    assert_eq!(body(args).unwrap().to_json_array(), args);
}

#[test]
fn what_is_no_array_or_no_base64_is_refused() {
    assert_eq!(body("{}"), Err(BodyError::NotAnArray));
    assert_eq!(body("[1"), Err(BodyError::NotAnArray));
    assert_eq!(body(r#"[{"$base64":"A"}]"#), Err(BodyError::NotBase64));
}

#[test]
fn placeholders_of_the_senders_own_are_refused_beside_binary() {
    let mixed = r#"[{"$base64":"AA=="},{"_placeholder":true,"num":7}]"#;
    assert_eq!(body(mixed), Err(BodyError::Placeholder));
    let hidden = "[{\"$base64\":\"AA==\"},{\"\\u005fplaceholder\":true,\"num\":7}]";
    assert_eq!(body(hidden), Err(BodyError::Placeholder));
}

#[test]
fn placeholders_fit_if_each_names_an_attachment_and_is_found_again() {
    assert!(placeholders_fit(r#"{"_placeholder":true,"num":0}"#, 1));
    assert!(placeholders_fit(r#"{ "num" : 1 , "_placeholder" : true },[]"#, 2));
    assert!(placeholders_fit(r#"{"_placeholder":false,"num":9}"#, 1));
    assert!(!placeholders_fit(r#"{"_placeholder":true,"num":1}"#, 1));
    assert!(!placeholders_fit(r#"{"_placeholder":true,"num":-1}"#, 1));
    assert!(!placeholders_fit(r#"{"_placeholder":true}"#, 1));
    assert!(!placeholders_fit(r#"{"_placeholder":true,"num":0,"x":1}"#, 1));
    let twice = r#"{"_placeholder":true,"num":0},{"num":0,"_placeholder":true}"#;
    assert!(!placeholders_fit(twice, 1));
    assert!(!placeholders_fit("{\"_placeholde\\u0072\":true,\"num\":0}", 1));
}

#[test]
fn renumbering_follows_what_is_there_and_takes_what_is_used() {
    let attachments = [Bytes::from_static(b"a"), Bytes::from_static(b"b")];
    let mut others = vec![Bytes::from_static(b"x")];
    let mut out = Vec::new();
    let json = r#"{"_placeholder":true,"num":1}"#;
    write_renumbered(&mut out, json, &attachments, &mut others);
    assert_eq!(out, br#"{"_placeholder":true,"num":1}"#);
    assert_eq!(others, [Bytes::from_static(b"x"), Bytes::from_static(b"b")]);
}

#[test]
fn places_that_name_one_attachment_share_it() {
    let mut others = Vec::new();
    let mut out = Vec::new();
    let json = r#"{"_placeholder":true,"num":0},{"_placeholder":true,"num":0}"#;
    write_renumbered(&mut out, json, &[Bytes::from_static(b"a")], &mut others);
    assert_eq!((out.as_slice(), others.len()), (json.as_bytes(), 1));
}

proptest! {
    #[test]
    fn whatever_is_binary_comes_back(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..5),
        text in any::<String>(),
    ) {
        let quoted = serde_json::to_string(&text).unwrap();
        let mut args = format!("[{quoted}");
        for value in &values {
            args += &format!(",{{\"v\":{{\"$base64\":\"{}\"}},{quoted}:1}}", STANDARD.encode(value));
        }
        args.push(']');
        let body = body(&args).unwrap();
        prop_assert_eq!(body.attachments.len(), values.len());
        prop_assert!(placeholders_fit(body.arguments.json(), values.len()));
        prop_assert_eq!(body.to_json_array(), args);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = body(&text);
        placeholders_fit(&text, 3);
    }
}
