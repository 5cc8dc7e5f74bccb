//! `openapi.json` says what the router does: every example in it is played, and what comes back
//! fits the schema that is given for it.

use serde_json::{Map, Value};
use trunkline_proto::api::{
    Acknowledgements, DisconnectReply, HistoryReply, KeptMessage, PresenceReply, PublishReply,
    SendReply, UserPresence,
};
use trunkline_proto::trunk::{api_answer::What, api_call};

use super::{kept, with_key};
use crate::harness::{Answer, Stage, TrunkEnd, ask, ask_with, post};

/// The document, in which references are followed.
struct Description(Value);

impl Description {
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => {
                let pointer = reference.trim_start_matches('#');
                self.0.pointer(pointer).unwrap_or_else(|| panic!("{reference} is nowhere"))
            }
            None => value,
        }
    }

    /// Says what of a value does not fit a schema.
    fn misfit(&self, schema: &Value, value: &Value) -> Option<String> {
        let schema = self.resolve(schema);
        let fits = |kind: &str| match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_u64(),
            other => panic!("the test knows no {other}"),
        };
        if let Some(kind) = schema["type"].as_str().filter(|kind| !fits(kind)) {
            return Some(format!("{value} is no {kind}"));
        }
        let required = schema["required"].as_array().map_or(&[][..], Vec::as_slice);
        for name in required.iter().filter_map(Value::as_str) {
            if value.get(name).is_none() {
                return Some(format!("{value} has no {name}"));
            }
        }
        if let (Some(known), Some(has)) = (schema["properties"].as_object(), value.as_object()) {
            for (name, value) in has {
                let Some(schema) = known.get(name) else {
                    return Some(format!("{name} is not described"));
                };
                if let Some(misfit) = self.misfit(schema, value) {
                    return Some(misfit);
                }
            }
        }
        if let Some(items) = value.as_array().filter(|_| schema.get("items").is_some()) {
            let misfit = items.iter().find_map(|item| self.misfit(&schema["items"], item));
            if misfit.is_some() {
                return misfit;
            }
        }
        if let Some(values) = schema["enum"].as_array().filter(|values| !values.contains(value)) {
            return Some(format!("{value} is none of {values:?}"));
        }
        let alternatives = schema["oneOf"].as_array()?;
        let fitting = alternatives.iter().filter(|it| self.misfit(it, value).is_none()).count();
        (fitting != 1).then(|| format!("{value} fits {fitting} of {alternatives:?}"))
    }

    fn check(&self, schema: &Value, value: &Value) {
        assert_eq!(self.misfit(schema, value), None);
    }

    /// A path with its parameters' examples in it.
    fn path(&self, template: &str, item: &Value) -> String {
        let mut path = template.to_owned();
        for parameter in item["parameters"].as_array().map_or(&[][..], Vec::as_slice) {
            let parameter = self.resolve(parameter);
            let name = parameter["name"].as_str().expect("a name");
            let example = parameter["example"].as_str().expect("an example");
            path = path.replace(&format!("{{{name}}}"), example);
        }
        path
    }
}

/// Answers whatever is asked, for ever.
async fn oblige(mut trunk: TrunkEnd) {
    loop {
        let call = trunk.call().await;
        let answer = match call.what.expect("a call") {
            api_call::What::Publish(request) => {
                let message = request.message.expect("a message");
                if message.ack_timeout_ms > 0 {
                    let responses = vec!["[\"yes\"]".to_owned()];
                    let acknowledgements = Some(Acknowledgements { responses, asked: 2 });
                    What::Publish(PublishReply { acknowledgements, ..PublishReply::default() })
                } else if message.ephemeral {
                    What::Publish(PublishReply::default())
                } else {
                    kept(call.request)
                }
            }
            api_call::What::Send(_) => What::Send(SendReply { status: "queued".to_owned() }),
            api_call::What::History(_) => {
                let message = |args: &str| KeptMessage {
                    offset: 1,
                    time_ms: 1,
                    from: "alice".to_owned(),
                    event: "note".to_owned(),
                    args: args.to_owned(),
                };
                let messages = vec![message("[1]"), message("[1,2]")];
                What::History(HistoryReply { epoch: "9k2f".to_owned(), messages })
            }
            api_call::What::Presence(_) => {
                let users = vec![UserPresence { user: "alice".to_owned(), connections: 2 }];
                What::Presence(PresenceReply { users, sure: true })
            }
            api_call::What::Disconnect(_) => What::Disconnect(DisconnectReply { connections: 2 }),
        };
        trunk.answer(call.request, answer).await;
    }
}

fn examples(content: &Value) -> Map<String, Value> {
    content["examples"].as_object().cloned().unwrap_or_default()
}

#[tokio::test]
async fn every_example_is_answered_as_it_is_described() {
    let Stage { router, shard: _shard, trunk, .. } = Stage::set_with(with_key).await;
    let address = router.local_addr();
    tokio::spawn(oblige(trunk));
    let described = ask_with(address, "GET", "/api/v1/openapi.json", "", "").await;
    assert_eq!(described.status, 200);
    let description = Description(described.json);
    let mut played = 0;
    for (template, item) in description.0["paths"].as_object().expect("paths") {
        let path = description.path(template, item);
        for (method, operation) in item.as_object().expect("methods") {
            if method == "parameters" {
                continue;
            }
            let method = method.to_uppercase();
            let content = |it: &Value| it["content"]["application/json"].clone();
            let good = content(&operation["responses"]["200"]);
            let check = |answer: &Answer| {
                assert_eq!(answer.status, 200, "{method} {path}: {}", answer.json);
                description.check(&good["schema"], &answer.json);
            };
            for example in examples(&good).values() {
                description.check(&good["schema"], &example["value"]);
            }
            let asked = content(&operation["requestBody"]);
            if asked.is_null() {
                check(&ask(address, &method, &path).await);
                played += 1;
            }
            for (name, example) in examples(&asked) {
                description.check(&asked["schema"], &example["value"]);
                let answer = post(address, &path, &example["value"].to_string()).await;
                check(&answer);
                let shown = &good["examples"][&name]["value"];
                assert!(same_shape(shown, &answer.json), "{name}: {shown} and {}", answer.json);
                played += 1;
            }
            // What every path refuses is described for every path.
            if operation["security"].is_null() {
                let answer = ask_with(address, &method, &path, "", "").await;
                let refused = description.resolve(&operation["responses"]["401"]);
                assert_eq!(answer.status, 401, "{method} {path}");
                description.check(&content(refused)["schema"], &answer.json);
            }
        }
    }
    assert!(played >= 10, "only {played} examples");
}

/// Whether two objects have the same fields.
fn same_shape(one: &Value, other: &Value) -> bool {
    let fields = |value: &Value| value.as_object().map(|it| it.keys().cloned().collect::<Vec<_>>());
    fields(one) == fields(other)
}
