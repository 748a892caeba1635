//! Tasks on documents: routed, held to a schema, summarised in parts with their sources, and counted.

use serde_json::{Value, json};

use crate::support::generator::{Generator, Play};
use crate::support::{Server, Start, command};

const LEASE: &str = "Lease between Acme Holdings and the tenant. The notice period for termination of this lease is ninety days. \
                     The monthly rent is 4,500 euros, payable in advance.";

fn started(home: &tempfile::TempDir, config: &str) -> Server {
    let server = Server::start(&home.path().join("data"), Start { config, ..Start::default() });
    server.create("acme");
    assert_eq!(server.put("acme", "lease.txt", LEASE).status, 201);
    server
}

fn task(server: &Server, more: Value) -> (u16, Value) {
    let mut request = json!({ "instruction": "Take out party, rent and notice period.", "collections": ["acme"] });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let reply = server.request("POST", "/api/v1/tasks", Some(&request));
    (reply.status, reply.json())
}

fn schema() -> Value {
    json!({
        "type": "object", "required": ["party", "rent"], "additionalProperties": false,
        "properties": { "party": { "type": "string" }, "rent": { "type": "number" }, "notice": { "type": ["string", "null"] } },
    })
}

#[test]
fn a_result_keeps_to_its_schema_and_says_where_its_values_stand() {
    let home = tempfile::tempdir().unwrap();
    let model = Generator::start(Play::Words(vec!["{\"party\":\"Acme Holdings\",\"rent\":4500,", "\"notice\":\"for ever\"}"]));
    let server = started(&home, &model.config("small", ""));
    let (status, done) = task(&server, json!({ "task": "extract", "documents": ["lease.txt"], "schema": schema() }));
    assert_eq!((status, &done["result"]["rent"], &done["text"]), (200, &json!(4500), &Value::Null), "{done}");
    let asked = model.request().body;
    assert_eq!(asked["response_format"]["json_schema"]["schema"], schema());
    assert!(asked["messages"][0]["content"].as_str().unwrap().contains("give you no instructions"));
    let stands = |pointer: &str| done["citations"].as_array().unwrap().iter().find(|c| c["pointer"] == pointer).cloned();
    let (party, rent) = (stands("/party").unwrap(), stands("/rent").unwrap());
    assert_eq!((&party["quote"], &rent["quote"], &rent["verified"]), (&json!("Acme Holdings"), &json!("4,500"), &json!(true)));
    assert_eq!(done["unsupported"], json!(["/notice"]));
    // The trail is kept, for those who may see all of it, and holds no text.
    let audit = &done["audit"];
    assert_eq!((&audit["task"], &audit["calls"], &audit["repaired"]), (&json!("extract"), &json!(1), &json!(false)), "{audit}");
    let length = LEASE.chars().count();
    assert_eq!((&audit["spans"][0]["start"], &audit["spans"][0]["end"]), (&json!(0), &json!(length)));
    assert_eq!(audit["reported_tokens"], json!({ "prompt": 11, "completion": 7 }));
    assert!(audit["tokens"]["prompt"].as_u64().unwrap() > 50, "{audit}");
    let kept = server.get(&format!("/api/v1/tasks/{}", audit["id"].as_str().unwrap()));
    assert_eq!((kept.status, &kept.json()), (200, audit));
    assert_eq!(server.get("/api/v1/tasks/0123456789abcdef").json()["code"], "no_task");
    for hidden in ["Acme Holdings", "notice period", "4,500"] {
        assert!(!server.log().contains(hidden), "{}", server.log());
    }
}

#[test]
fn a_result_that_breaks_its_schema_is_repaired_once_and_then_refused() {
    let home = tempfile::tempdir().unwrap();
    let model =
        Generator::start(Play::InTurn(vec![vec!["{\"party\": 7}"], vec!["```json\n{\"party\":\"Acme\",\"rent\":1}\n```"]]));
    let second = Generator::start(Play::Words(vec!["{\"party\":\"B\",\"rent\":2}"]));
    let server = started(&home, &[model.config("small", ""), second.config("second", "")].concat());
    let order = json!({ "task": "extract", "documents": ["lease.txt"], "schema": schema() });
    let (_, done) = task(&server, order.clone());
    assert_eq!(
        (&done["result"]["party"], &done["audit"]["repaired"], &done["audit"]["calls"]),
        (&json!("Acme"), &json!(true), &json!(2))
    );
    model.request();
    let repair = model.request().body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap().to_owned();
    assert!(repair.contains("not valid") && repair.contains("party"), "{repair}");
    // Twice wrong: the next generator does it; with none left, an error says who was tried.
    model.then(Play::Words(vec!["no JSON"]));
    let (_, done) = task(&server, order.clone());
    assert_eq!((&done["generator"]["name"], &done["tried"][0]["name"]), (&json!("second"), &json!("small")));
    let mut only = order;
    only["generator"] = json!("small");
    let (status, refused) = task(&server, only);
    assert_eq!((status, &refused["code"]), (422, &json!("not_done")), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("does not keep to the schema"), "{refused}");
}

#[test]
fn tasks_go_to_the_generators_that_the_configuration_routes_them_to() {
    let home = tempfile::tempdir().unwrap();
    let small = Generator::start(Play::Words(vec!["The rent is 4,500 euros [1]."]));
    let big = Generator::start(Play::Words(vec!["{\"label\":\"lease\"}"]));
    let file = home.path().join("schema.json");
    std::fs::write(&file, schema().to_string()).unwrap();
    let routes = format!(
        "[tasks.classify]\ngenerators = [\"big\"]\nanswer_tokens = 77\n[tasks.extract]\ngenerators = [\"big\"]\nschema = {:?}\n\
         [tasks.draft]\ninput_tokens = 9\n",
        file.to_str().unwrap()
    );
    let server = started(&home, &[small.config("small", ""), big.config("big", ""), routes].concat());
    let (_, sorted) = task(&server, json!({ "task": "classify", "documents": ["lease.txt"], "labels": ["lease", "nda"] }));
    assert_eq!((&sorted["result"], &sorted["generator"]["name"]), (&json!({ "label": "lease" }), &json!("big")), "{sorted}");
    assert_eq!(big.request().body["max_tokens"], 77);
    // The schema of the configuration is that of requests without one: what the model gives does not keep to it.
    let (status, refused) = task(&server, json!({ "task": "extract", "documents": ["lease.txt"] }));
    assert_eq!((status, &refused["code"]), (422, &json!("not_done")), "{refused}");
    let (_, drafted) = task(&server, json!({ "task": "draft", "instruction": "Write a letter about the monthly rent." }));
    assert_eq!((&drafted["generator"]["name"], &drafted["grounded"]), (&json!("small"), &json!(true)), "{drafted}");
    let (status, refused) = task(&server, json!({ "task": "draft", "documents": ["lease.txt"] }));
    assert_eq!((status, &refused["code"]), (422, &json!("too_much")), "{refused}");
    let (status, refused) = task(&server, json!({ "task": "draft", "generator": "none" }));
    assert_eq!((status, &refused["fields"]), (400, &json!(["generator"])), "{refused}");
    let (status, refused) = task(&server, json!({ "task": "draft", "documents": ["none.txt"] }));
    assert_eq!((status, &refused["code"]), (404, &json!("no_document")), "{refused}");
}

#[test]
fn a_program_is_handed_over_as_it_was_written() {
    let home = tempfile::tempdir().unwrap();
    let block = "```python\nrent = rents[1]  # https://example.com\n```\n";
    let model = Generator::start(Play::Words(vec![block, "From the lease [1]. ![x](https://evil.example)"]));
    let server = started(&home, &model.config("small", ""));
    let (_, done) = task(&server, json!({ "task": "code", "instruction": "Write a program that pays the rent." }));
    let text = done["text"].as_str().unwrap();
    assert!(text.contains(block) && !text.contains("]("), "{text}");
}

#[test]
fn a_long_document_is_summarised_in_parts_and_every_statement_keeps_its_source() {
    let home = tempfile::tempdir().unwrap();
    let model = Generator::start(Play::Summarises);
    let config = model.config("small", "context = 2048\nanswer_tokens = 300");
    let server = started(&home, &config);
    let facts: Vec<String> = (0..60)
        .map(|n| format!("Clause {n}. The sum number{n} is due to party{n} on demand. {}", "It is said at length. ".repeat(20)))
        .collect();
    assert_eq!(server.put("acme", "long.txt", &facts.join("\n\n")).status, 201);
    let order = json!({ "task": "summarise", "instruction": "Name all sums.", "documents": ["long.txt"] });
    let (status, done) = task(&server, order);
    assert_eq!(status, 200, "{done}");
    assert!(done["audit"]["calls"].as_u64().unwrap() > 5, "in parts: {}", done["audit"]);
    assert_eq!(
        (&done["audit"]["left_out"], done["audit"]["spans"].as_array().unwrap().len()),
        (&json!(0), 1),
        "nothing is cut"
    );
    let text = done["text"].as_str().unwrap();
    let citations = done["citations"].as_array().unwrap();
    assert!(!citations.is_empty() && done["grounded"] == true, "{done}");
    for citation in citations {
        assert_eq!(citation["verified"], true);
        // The stub names of every part its first sum; wherever it stands in the end, its source is that clause.
        let mark = format!("[{}]", citation["n"]);
        let claim = text.split('.').find(|claim| claim.contains(&mark)).unwrap_or_else(|| panic!("{mark} in {text}"));
        let number: String = claim.split("number").nth(1).unwrap().chars().take_while(char::is_ascii_digit).collect();
        assert!(citation["quote"].as_str().unwrap().contains(&format!("number{number} ")), "{claim} is not {citation}");
    }
    let parts = std::iter::from_fn(|| model.asked.try_recv().ok()).count();
    assert_eq!(done["audit"]["calls"], parts, "every call is counted");
}

#[test]
fn usage_is_counted_by_client_and_told_to_those_who_may_see_it() {
    let home = tempfile::tempdir().unwrap();
    let model = Generator::start(Play::Words(vec!["Ninety days [1]."]));
    let prices = "[usage]\nrent_in = 3.0\nrent_out = 15.0\nmachine = 3600\nmachine_months = 36\nkilowatt_hour = 0.4\n";
    let server = started(&home, &[model.config("small", "watts = 300"), prices.to_owned()].concat());
    server.create("globex");
    let empty = server.get("/api/v1/usage").json();
    assert_eq!((&empty["local_share"], &empty["rows"]), (&Value::Null, &json!([])), "{empty}");
    let question = json!({ "question": "What is the notice period for termination of the lease?", "collections": ["acme"] });
    let mut tokens = 0;
    for _ in 0..3 {
        let answer = server.request("POST", "/api/v1/answers", Some(&question)).json();
        assert_eq!(answer["grounded"], true, "{answer}");
        tokens += answer["audit"]["tokens"]["prompt"].as_u64().unwrap();
    }
    let chore = json!({
        "model": "strongroom/acme", "messages": [{ "role": "user", "content": "### Task:\nGenerate a title.\n{ \"title\": \"x\" }" }],
    });
    assert_eq!(server.request("POST", "/v1/chat/completions", Some(&chore)).status, 200);
    let usage = server.get("/api/v1/usage?collection=acme").json();
    assert_eq!((usage["local_share"].as_f64(), &usage["currency"]), (Some(1.0), &json!("EUR")), "{usage}");
    let rows = usage["rows"].as_array().unwrap();
    let row = |task: &str| rows.iter().find(|row| row["task"] == task).unwrap_or_else(|| panic!("{task} in {usage}"));
    assert_eq!((&row("ask")["tasks"], &row("ask")["tokens"]["prompt"]), (&json!(3), &json!(tokens)));
    assert_eq!(row("ask")["reported_tokens"], json!({ "prompt": 33, "completion": 21 }));
    assert_eq!(
        (&row("chat")["tasks"], &row("chat")["generator"], &row("chat")["place"]),
        (&json!(1), &json!("small"), &json!("local"))
    );
    let month = &usage["months"][0];
    assert!(month["own"].as_f64().unwrap() >= 100.0 && month["rent"].as_f64().unwrap() > 0.0, "{usage}");
    assert_eq!(server.get("/api/v1/usage?collection=globex").json()["rows"], json!([]));
    let told = command(&home.path().join("data"), &["usage", "-c", "acme"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("100.0 % of all tokens stayed here") && told.contains("As rent, EUR"), "{told}");
    assert_eq!(server.get("/api/v1/usage?from=2026-13-01").status, 400);
    // A destroyed client's sums stay, under no name; nothing else of it does.
    let destroyed = server.request("DELETE", "/api/v1/collections/acme", None).json();
    assert_eq!(destroyed["certificate"]["clean"], true, "{destroyed}");
    let usage = server.get("/api/v1/usage").json();
    assert_eq!((&usage["rows"][0]["collection"], &usage["rows"][0]["tasks"]), (&Value::Null, &json!(3)), "{usage}");
}

#[test]
fn an_answer_explains_what_its_generator_was_shown() {
    let home = tempfile::tempdir().unwrap();
    let model = Generator::start(Play::Words(vec!["Ninety days [1]."]));
    let server = started(&home, &model.config("small", "context = 1024\nanswer_tokens = 100"));
    for n in 0..6 {
        let text = format!(
            "The notice period for termination of lease {n} is ninety days. {}",
            format!("Word{n} after word. ").repeat(55)
        );
        assert_eq!(server.put("acme", &format!("{n}.txt"), &text).status, 201);
    }
    let question =
        json!({ "question": "What is the notice period for termination?", "collections": ["acme"], "explain": true });
    let answer = server.request("POST", "/api/v1/answers", Some(&question)).json();
    let passages = answer["explain"].as_array().unwrap();
    let shown = passages.iter().filter(|passage| passage["shown"] == true).count();
    assert!(shown > 0 && shown < passages.len(), "{answer}");
    assert_eq!(answer["left_out"], passages.len() - shown);
    assert_eq!(answer["audit"]["spans"].as_array().unwrap().len(), shown);
}

#[test]
fn a_scorecard_grades_each_generator_and_compares_with_the_run_before() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("data");
    let right = Generator::start(Play::Words(vec!["The notice ", "period is ninety days [1]."]));
    let wrong = Generator::start(Play::Words(vec!["The notice period is seven days [1]."]));
    let config = [right.config("right", ""), wrong.config("wrong", "")].concat();
    let server = started(&home, &config);
    let file = home.path().join("own.toml");
    std::fs::write(home.path().join("facts.txt"), "ninety\ndays\n").unwrap();
    let tasks = "[[task]]\nname = \"notice\"\nquestion = \"What is the notice period for termination of the lease?\"\n\
                 collections = [\"acme\"]\ngrade = \"contains\"\nexpect_file = \"facts.txt\"\n";
    std::fs::write(&file, tasks).unwrap();
    let settings = home.path().join("strongroom.toml");
    std::fs::write(&settings, &config).unwrap();
    let run = |more: &[&str]| {
        let arguments = [&["--config", settings.to_str().unwrap(), "scorecard"], more].concat();
        let output = command(&data, &arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let card: Value = serde_json::from_str(&run(&[file.to_str().unwrap(), "--json"])).unwrap();
    let of = |card: &Value, name: &str| {
        card["summary"].as_array().unwrap().iter().find(|row| row["generator"] == name).unwrap().clone()
    };
    assert_eq!((&of(&card, "right")["quality"], &of(&card, "wrong")["quality"]), (&json!(1.0), &json!(0.5)), "{card}");
    assert!(of(&card, "right")["first_token_ms"].is_number(), "{card}");
    wrong.then(Play::Answers(500, ""));
    let told = run(&[file.to_str().unwrap()]);
    assert!(told.contains("-0.50") && told.contains("wrong did not do \"notice\""), "{told}");
    let history: Value = serde_json::from_str(&run(&["--history", "--json"])).unwrap();
    assert_eq!(history.as_array().unwrap().len(), 2);
    // What is kept holds no answers.
    assert!(!history.to_string().contains("ninety"), "{history}");
    std::fs::write(&file, tasks.replace("contains", "guess")).unwrap();
    let refused = command(&data, &["--config", settings.to_str().unwrap(), "scorecard", file.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    drop(server);
}
