//! What a configuration becomes, and what is said of a wrong one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use toml::Value;

use super::*;

struct Case {
    folder: tempfile::TempDir,
    request: Request,
}

impl Case {
    fn new(file: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("here")).unwrap();
        if !file.is_empty() {
            std::fs::write(folder.path().join("here/strongroom.toml"), file).unwrap();
        }
        let environment = Environment { variables: Default::default(), folder: folder.path().join("here") };
        let case = Self { request: Request { environment, ..Request::default() }, folder };
        let home = case.folder.path().join("home");
        case.with("HOME", home.to_str().unwrap())
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        self.request.environment.variables.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, name: &'static str, key: &'static str, value: impl Into<Value>) -> Self {
        self.request.flags.push(Flag { name, key, value: value.into() });
        self
    }

    fn load(&self) -> Loaded {
        load(&self.request).unwrap()
    }

    fn faults(&self) -> Vec<String> {
        let shown = self.folder.path().to_string_lossy().into_owned();
        load(&self.request).unwrap_err().0.into_iter().map(|line| line.replace(&shown, "")).collect()
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }
}

#[test]
fn without_anything_the_defaults_hold() {
    let case = Case::new("");
    let config = case.load().config;
    assert_eq!(config.bind.to_string(), "127.0.0.1:7710");
    assert_eq!(config.embedding.model, Model::Named("all-MiniLM-L6-v2".into()));
    assert_eq!(config.indexing.sweep_every, Duration::from_secs(300));
    assert_eq!(config.indexing.reserve, 1 << 30);
    assert!(config.indexing.threads >= 1);
    if cfg!(target_os = "linux") {
        assert_eq!(config.data, case.path("home/.local/share/strongroom"));
        let elsewhere = Case::new("").with("XDG_DATA_HOME", "/srv/state");
        assert_eq!(elsewhere.load().config.data, Path::new("/srv/state/strongroom"));
    }
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "bind = \"127.0.0.1:1001\"\n[indexing]\nthreads = 1\nsettle = \"1s\"\n";
    let loaded = Case::new(file).load();
    assert_eq!((loaded.config.bind.port(), loaded.config.indexing.threads), (1001, 1));
    let set = |case: Case| case.with("STRONGROOM_BIND", "127.0.0.1:1002").with("STRONGROOM_INDEXING_THREADS", "2");
    let loaded = set(Case::new(file)).load();
    assert_eq!((loaded.config.bind.port(), loaded.config.indexing.threads), (1002, 2));
    let loaded = set(Case::new(file)).flag("--bind", "bind", "127.0.0.1:1003").load();
    assert_eq!((loaded.config.bind.port(), loaded.config.indexing.threads), (1003, 2));
    assert_eq!(loaded.config.indexing.settle, Duration::from_secs(1));
    let origin = |key: &str| loaded.origins.get(key).cloned();
    assert_eq!(origin("bind"), Some(vec![Origin::Flag("--bind".into())]));
    assert_eq!(origin("indexing.threads"), Some(vec![Origin::Variable("STRONGROOM_INDEXING_THREADS".into())]));
    assert!(matches!(origin("indexing.settle").as_deref(), Some([Origin::File(_)])));
    assert_eq!(origin("indexing.pause"), None);
}

#[test]
fn the_file_is_looked_for_in_this_order() {
    let case = Case::new("bind = \"127.0.0.1:3\"");
    let write = |name: &str, port: u16| {
        std::fs::create_dir_all(case.path(name).parent().unwrap()).unwrap();
        std::fs::write(case.path(name), format!("bind = \"127.0.0.1:{port}\"")).unwrap();
    };
    write("a.toml", 1);
    write("b.toml", 2);
    write("home/.config/strongroom/strongroom.toml", 4);
    let port = |request: &Request| load(request).unwrap().config.bind.port();
    let mut request = case.request.clone();
    request.environment.variables.insert("XDG_CONFIG_HOME".into(), case.path("home/.config").to_string_lossy().into());
    if cfg!(target_os = "linux") {
        let mut without = request.clone();
        without.environment.folder = case.path("home");
        assert_eq!(port(&without), 4);
    }
    assert_eq!(port(&request), 3);
    request.environment.variables.insert("STRONGROOM_CONFIG".into(), "../b.toml".into());
    assert_eq!(port(&request), 2);
    request.file = Some(case.path("a.toml"));
    assert_eq!(port(&request), 1);
    request.file = Some(case.path("missing.toml"));
    assert!(load(&request).unwrap_err().0[0].contains("that --config names"));
}

#[test]
fn folders_of_the_file_and_of_the_command_line_add_up() {
    let case = Case::new(
        "watch_folders = [\"clients\"]\n[[watch]]\nname = \"acme\"\npath = \"../acme\"\n[embedding]\nmodel = \"./own\"\n",
    )
    .flag("FOLDER", "watch_folders", vec!["more"])
    .flag("--watch", "watch", vec![Value::Table(toml::toml! { name = "b" path = "~/b" })]);
    let config = case.load().config;
    assert_eq!(config.watch_folders, [case.path("here/clients"), case.path("here/more")]);
    let watch = |name: &str, path: &str| Watch { name: name.into(), path: case.path(path) };
    assert_eq!(config.watch, [watch("acme", "acme"), watch("b", "home/b")]);
    assert_eq!(config.embedding.model, Model::Folder(case.path("here/own")));
    assert_eq!(case.load().origins["watch"].len(), 2);
}

#[test]
fn every_unknown_key_is_told_with_the_nearest_one() {
    let file = "bindd = \"x\"\nmodel = \"x\"\n\n[indexing]\nthread = 1\n[[watch]]\nname = \"a\"\npaht = \"b\"\n\
                [collections.acme.escalation]\npolicies = 1\n[zzz]\nq = 1\n";
    let faults = Case::new(file).faults();
    let expected = [
        "line 1: there is no setting `bindd`: did you mean `bind`?",
        "line 2: there is no setting `model`: did you mean `model` in [embedding]?",
        "line 5: there is no setting `indexing.thread`: did you mean `threads`?",
        "line 8: there is no setting `watch.paht`: did you mean `path`?",
        "line 10: there is no setting `collections.acme.escalation.policies`: did you mean `policy`?",
        "line 11: there is no setting `zzz`; here there are: ",
    ];
    assert_eq!(faults.len(), expected.len(), "{faults:#?}");
    for (fault, expected) in faults.iter().zip(expected) {
        assert!(fault.starts_with(&format!("/here/strongroom.toml: {expected}")), "{fault}");
    }
}

#[test]
fn a_misspelt_variable_is_told_and_a_wrong_value_refused() {
    let loaded = Case::new("").with("STRONGROOM_BINDS", "1").with("STRONGROOM_ONNXRUNTIME", "/lib/x.so").load();
    assert_eq!(
        loaded.warnings,
        ["the environment variable STRONGROOM_BINDS is no setting and is ignored: did you mean STRONGROOM_BIND?"]
    );
    let faults = Case::new("").with("STRONGROOM_INDEXING_PAUSE", "maybe").with("STRONGROOM_INDEXING_THREADS", "many").faults();
    assert_eq!(
        faults,
        [
            "the environment variable STRONGROOM_INDEXING_PAUSE must be true or false",
            "the environment variable STRONGROOM_INDEXING_THREADS must be a whole number",
        ]
    );
}

#[test]
fn lists_come_from_variables_too() {
    let case = Case::new("allowed_hosts = [\"x\"]")
        .with("STRONGROOM_ALLOWED_HOSTS", "A.example, b")
        .with("STRONGROOM_WATCH_FOLDERS", "/a,b:c");
    let config = case.load().config;
    assert_eq!(config.allowed_hosts, ["a.example", "b"]);
    assert_eq!(config.watch_folders, [PathBuf::from("/a,b"), case.path("here/c")]);
}

#[test]
fn what_is_not_possible_is_told_with_the_remedy() {
    let cases = [
        ("bind = \"0.0.0.0:7710\"", "`bind`: 0.0.0.0:7710 can be reached from outside"),
        ("bind = \"7710\"", "`bind`: \"7710\" is not an address and a port"),
        ("public_url = \"kb.example\"", "`public_url`: is not a plain web address"),
        ("public_url = \"https://me:secret@kb.example\"", "`public_url`: is not a plain web address"),
        ("allowed_origins = [\"localhost\"]", "`allowed_origins`: \"localhost\" is not an origin"),
        ("[indexing]\nsettle = \"2\"", "`indexing.settle`: \"2\" is not a time"),
        ("[indexing]\npurge_every = \"2d\"", "`indexing.purge_every`: \"2d\" is out of range: from 1s to 1d 0h"),
        ("[indexing]\nreserve = \"lots\"", "`indexing.reserve`: \"lots\" is not a size"),
        ("[indexing]\nthreads = 0", "`indexing.threads`: must be at least 1"),
        ("[log]\nlevel = \"strongroom=loud\"", "`log.level`: \"strongroom=loud\" is not"),
        ("data = \"clients/.state\"\nwatch_folders = [\"clients\"]", "`watch_folders`: /here/clients holds the data folder"),
        (
            "data = \"state\"\n[[watch]]\nname = \"a\"\npath = \"state/a\"",
            "`watch.path`: /here/state/a lies inside the data folder",
        ),
        ("watch_folders = [\"a\", \"./a\"]", "`watch_folders`: /here/a is given twice"),
        ("[[watch]]\nname = \"A B\"\npath = \"a\"", "`watch.name`: \"A B\" is not a collection's name"),
        ("[collections.Acme]\nmix = true", "`collections.Acme`: the name is not a collection's name"),
        (
            "[collections.a.escalation]\npolicy = \"ask\"",
            "`collections.a.escalation`: allows escalation but names no providers",
        ),
        (
            "[[generator]]\nname = \"a\"\nkind = \"ollama\"\nurl = \"localhost\"\nmodel = \"m\"",
            "`generator.url`: \"localhost\" is not an address",
        ),
        (
            "[[generator]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://192.168.1.5:8080/v1\"\nmodel = \"m\"",
            "`generator.url`: \"http://192.168.1.5:8080/v1\" is on another machine: add `private = true`",
        ),
        (
            "[[generator]]\nname = \"a\"\nkind = \"openai\"\nurl = \"https://203.0.113.9/v1\"\nmodel = \"m\"\nprivate = true",
            "`generator.url`: \"https://203.0.113.9/v1\" is on the public internet",
        ),
        (
            "[[generator]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://[::1]/v1\"\nmodel = \"m\"\ndigest = \"sha256:12\"",
            "`generator.digest`: \"sha256:12\" is not `sha256:` and 64 hexadecimal digits",
        ),
        (
            "[[generator]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://[::1]/v1\"\nmodel = \"m\"\napi_key_env = \"NO_KEY\"",
            "`generator.api_key_env`: the variable NO_KEY of \"a\" is not set",
        ),
        (
            "[[generator]]\nname = \"a\"\nkind = \"openai\"\nurl = \"http://[::1]/v1\"\nmodel = \"m\"\ncontext = 100",
            "`generator.context`: that of \"a\" must be at least 512",
        ),
        (
            "[[speech]]\nname = \"a\"\nlane = \"fast\"\nurl = \"https://203.0.113.9/v1\"\nmodel = \"m\"\nprivate = true",
            "`speech.url`: \"https://203.0.113.9/v1\" is on the public internet",
        ),
        (
            "[[speech]]\nname = \"a\"\nlane = \"fast\"\nurl = \"http://[::1]/v1\"\nmodel = \"m\"\ntimeout = \"2d\"",
            "`speech.timeout`: \"2d\" is out of range: from 1s to 24h",
        ),
        ("[transcription]\nfast_folders = [\"acme//calls\"]", "`transcription.fast_folders`: \"acme//calls\" is no folder"),
        (
            "[transcription]\naccurate_folders = [\"acme/call*\"]",
            "`transcription.accurate_folders`: \"acme/call*\" is no folder",
        ),
        (
            "[transcription]\naccurate_folders = [\"acme\"]\nfast_folders = [\"acme\"]",
            "`transcription.fast_folders`: \"acme\" is among `accurate_folders` too",
        ),
        ("[openai]\nfilter = [\"A B\"]", "`openai.filter`: \"A B\" is not a collection's name"),
    ];
    for (file, expected) in cases {
        let faults = Case::new(file).faults();
        assert_eq!(faults.len(), 1, "{file}: {faults:#?}");
        assert!(faults[0].starts_with(expected), "{}", faults[0]);
    }
}

#[test]
fn a_wrong_type_is_shown_with_its_line() {
    let faults = Case::new("\n[embedding]\nprecision = \"fp16\"\n").faults();
    assert!(faults[0].contains("line 3") && faults[0].contains("expected `int8` or `fp32`"), "{}", faults[0]);
}

const CLOUD: &str = "[[generator]]\nname = \"small\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:8080/v1/\"\nmodel = \"tiny\"\n\
    [[provider]]\nname = \"acme-cloud\"\nkind = \"anthropic\"\nurl = \"URL\"\napi_key_env = \"KEY\"\nmodels = [\"big-1\"]\n\
    [collections.acme]\nmix = true\n[collections.acme.escalation]\npolicy = \"ask\"\nproviders = [\"WHO\"]\n";

#[test]
fn generators_and_providers_are_checked() {
    let case = |url: &str, who: &str| Case::new(&CLOUD.replace("URL", url).replace("WHO", who));
    let loaded = case("http://[::1]:9999/v1", "acme-cloud").load();
    assert_eq!(loaded.config.generators[0].url, "http://127.0.0.1:8080/v1");
    assert_eq!(loaded.config.collections["acme"].providers, ["acme-cloud"]);
    assert_eq!(loaded.config.mixable(), ["acme"]);
    assert_eq!(loaded.warnings.len(), 2);
    assert!(loaded.warnings.iter().all(|line| line.ends_with("is configured but this version does not use it yet")));
    assert!(case("http://cloud.example/v1", "acme-cloud").faults()[0].contains("would send in the clear"));
    assert!(case("https://me:pw@cloud.example", "acme-cloud").faults()[0].contains("is not an address"));
    assert!(case("https://cloud.example", "acme-clod").faults()[0].contains("did you mean \"acme-cloud\"?"));
}

#[test]
fn speech_servers_and_their_rule_are_read() {
    let file = "[[speech]]\nname = \"w\"\nlane = \"accurate\"\nurl = \"http://127.0.0.1:8000/v1/\"\nmodel = \"large\"\n\
                [transcription]\naccurate_up_to = \"5m\"\nfast_folders = [\"*/calls/\"]\n";
    let config = Case::new(file).load().config;
    let server = &config.speech[0];
    assert_eq!((server.lane, server.url.as_str()), (Lane::Accurate, "http://127.0.0.1:8000/v1"));
    assert_eq!((server.timeout, config.transcription.accurate_up_to), (Duration::from_secs(3600), Duration::from_secs(300)));
    assert_eq!(config.transcription.fast_folders, [["*", "calls"]]);
}

#[test]
fn a_generators_machine_may_be_woken_and_its_file_lies_beside_the_configuration() {
    let file = CLOUD.replace("URL", "https://a.example").replace("WHO", "acme-cloud").replace(
        "model = \"tiny\"",
        "model = \"tiny\"\nfile = \"tiny.gguf\"\nwake = { mac = \"AA-bb-cc-dd-ee-ff\" }\nsleep = { command = [\"zzz\"] }",
    );
    let case = Case::new(&(file + "[[generator]]\nname = \"images\"\nkind = \"other\"\nurl = \"http://127.0.0.1:8188\"\n"));
    let config = case.load().config;
    let [tiny, images] = &config.generators[..] else { panic!("{:?}", config.generators) };
    assert_eq!((tiny.file.clone(), tiny.at_once), (Some(case.path("here/tiny.gguf")), 4));
    let wake = Wake {
        mac: [0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff],
        address: "255.255.255.255:9".parse().unwrap(),
        within: Duration::from_secs(180),
    };
    assert_eq!(tiny.wake, Some(wake));
    assert_eq!(tiny.sleep, Some(Sleep { command: vec!["zzz".into()], after: Duration::from_secs(900) }));
    assert!(tiny.answers() && !images.answers());
}

#[test]
fn a_key_in_the_place_of_its_variable_is_not_repeated() {
    let faults =
        Case::new(&CLOUD.replace("URL", "https://a.example").replace("WHO", "acme-cloud").replace("KEY", "sk-secret")).faults();
    assert!(faults[0].contains("environment variable") && !faults[0].contains("sk-secret"), "{}", faults[0]);
}

#[test]
fn what_is_shown_can_be_saved_and_read_again() {
    let file = CLOUD.replace("URL", "https://a.example").replace("WHO", "acme-cloud");
    let case = Case::new(&file).flag("--bind", "bind", "127.0.0.1:9").flag("FOLDER", "watch_folders", vec!["/a # b"]);
    let loaded = case.load();
    let shown = to_toml(&loaded);
    let again = Case::new(&shown).load();
    assert_eq!(again.typed, loaded.typed);
    assert_eq!(again.config, loaded.config);
    let comment = |start: &str| {
        shown.lines().find(|line| line.starts_with(start)).and_then(|line| line.rsplit_once("# ")).map(|(_, c)| c.to_owned())
    };
    assert_eq!(comment("bind").as_deref(), Some("--bind on the command line"));
    assert_eq!(comment("offline").as_deref(), Some("default"));
    assert_eq!(comment("policy"), Some(case.path("here/strongroom.toml").display().to_string()));
    assert_eq!(to_json(&loaded)["settings"]["bind"], "127.0.0.1:9");
}

#[test]
fn every_setting_of_one_value_has_a_variable() {
    let names: Vec<String> = keys::Keys::new().leaves().iter().map(|(key, _)| layers::variable_of(key)).collect();
    for expected in ["STRONGROOM_DATA", "STRONGROOM_EMBEDDING_DEVICE", "STRONGROOM_LOG_LEVEL", "STRONGROOM_INDEXING_IGNORE"] {
        assert!(names.iter().any(|name| name == expected), "{expected}: {names:?}");
    }
    assert!(!names.iter().any(|name| name == "STRONGROOM_WATCH"), "a table has no single value");
}

#[test]
fn times_and_sizes() {
    let time = |text: &str| parse_duration(text).ok().map(|time| time.as_millis());
    for (text, expected) in
        [("250ms", 250), ("30s", 30_000), ("5m", 300_000), ("6 h", 21_600_000), ("1d", 86_400_000), ("0s", 0)]
    {
        assert_eq!(time(text), Some(expected), "{text}");
    }
    for text in ["", "5", "m", "-5m", "1.5h", "5 minutes", "99999999999999999999s", "9999999999999999d"] {
        assert_eq!(time(text), None, "{text}");
    }
    for (text, expected) in
        [("0B", 0), ("4096B", 4096), ("1kB", 1000), ("1KiB", 1024), ("512MiB", 536_870_912), ("1 gb", 1_000_000_000)]
    {
        assert_eq!(parse_size(text), Ok(expected), "{text}");
    }
    for text in ["1", "GiB", "1.5GiB", "1 G", "99999999TiB"] {
        assert!(parse_size(text).is_err(), "{text}");
    }
    assert_eq!(format_size(1536), "1.5 KiB");
    assert_eq!(format_duration(Duration::from_secs(7_500)), "2h 5m");
}

proptest! {
    #[test]
    fn no_file_makes_it_panic(text in "(\\[|\\]|=|\"|\n|bind|watch|indexing|collections|\\.|a|1|true| ){0,40}") {
        let _ = load(&Case::new(&text).request);
    }
}
