//! STAND-IN, to be deleted at the merge: the core gets `Body::from_json_array`,
//! `Body::to_json_array` and `gathered_to_json`, which do this and count the arguments. The names
//! and the meaning are the same; `serde_json` leaves this crate's dependencies with it.
//!
//! It keeps the text of arguments without binary and writes those with binary anew.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use trunkline_core::{Arguments, Body};

const BINARY: &str = "$base64";

/// Why arguments can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyError {
    #[error("`args` must be an array in JSON")]
    NotArray,
    #[error("`{BINARY}` must have binary in base64 as its text")]
    NotBase64,
}

pub(super) fn from_json_array(event: &str, args: &str) -> Result<Body, BodyError> {
    let raw: Vec<&RawValue> = serde_json::from_str(args).map_err(|_| BodyError::NotArray)?;
    let count = u32::try_from(raw.len()).map_err(|_| BodyError::NotArray)?;
    let mut attachments = Vec::new();
    let json = if args.contains(BINARY) {
        let mut values: Vec<Value> = serde_json::from_str(args).map_err(|_| BodyError::NotArray)?;
        for value in &mut values {
            take_out(value, &mut attachments)?;
        }
        joined(&Value::Array(values).to_string()).to_owned()
    } else {
        joined(args).to_owned()
    };
    Ok(Body { event: Arc::from(event), arguments: Arguments::new(&json, count), attachments })
}

pub(super) fn to_json_array(body: &Body) -> String {
    array(&body.arguments, &body.attachments)
}

pub(super) fn gathered_to_json(response: &(Arguments, Vec<Bytes>)) -> String {
    array(&response.0, &response.1)
}

fn array(arguments: &Arguments, attachments: &[Bytes]) -> String {
    let json = format!("[{}]", arguments.json());
    if attachments.is_empty() {
        return json;
    }
    let Ok(mut value) = serde_json::from_str::<Value>(&json) else { return json };
    put_back(&mut value, attachments);
    value.to_string()
}

/// What is between an array's brackets.
fn joined(array: &str) -> &str {
    let array = array.trim();
    array.get(1..array.len().saturating_sub(1)).unwrap_or_default().trim()
}

fn take_out(value: &mut Value, attachments: &mut Vec<Bytes>) -> Result<(), BodyError> {
    match value {
        Value::Array(values) => values.iter_mut().try_for_each(|it| take_out(it, attachments)),
        Value::Object(fields) => {
            let Some(text) = fields.get(BINARY).filter(|_| fields.len() == 1) else {
                return fields.values_mut().try_for_each(|it| take_out(it, attachments));
            };
            let text = text.as_str().ok_or(BodyError::NotBase64)?;
            let bytes = STANDARD.decode(text).map_err(|_| BodyError::NotBase64)?;
            *value = json!({"_placeholder": true, "num": attachments.len()});
            attachments.push(bytes.into());
            Ok(())
        }
        _ => Ok(()),
    }
}

fn put_back(value: &mut Value, attachments: &[Bytes]) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|it| put_back(it, attachments)),
        Value::Object(fields) => {
            let number = fields
                .get("num")
                .and_then(Value::as_u64)
                .and_then(|number| usize::try_from(number).ok())
                .filter(|_| fields.get("_placeholder") == Some(&Value::Bool(true)));
            match number.and_then(|number| attachments.get(number)) {
                Some(bytes) => *value = json!({ BINARY: STANDARD.encode(bytes) }),
                None => fields.values_mut().for_each(|it| put_back(it, attachments)),
            }
        }
        _ => {}
    }
}
