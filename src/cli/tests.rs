//! What is typed, and what the help says.

use clap::{CommandFactory as _, Parser as _};

use super::args::{Cli, Command, Mode};

fn parsed(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

fn flags(line: &str) -> Vec<(&'static str, String)> {
    parsed(line).unwrap().flags().unwrap().into_iter().map(|flag| (flag.key, flag.value.to_string())).collect()
}

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn serve_turns_flags_into_settings() {
    let found = flags(
        "strongroom serve /a /b --data /d --bind 127.0.0.1:1 --watch acme=/srv/a=b --threads 2 --model m --precision fp32 --device cpu --offline",
    );
    let expected = [
        ("data", "\"/d\""),
        ("watch_folders", "[\"/a\", \"/b\"]"),
        ("watch", "[{ name = \"acme\", path = \"/srv/a=b\" }]"),
        ("indexing.threads", "2"),
        ("bind", "\"127.0.0.1:1\""),
        ("embedding.model", "\"m\""),
        ("embedding.precision", "\"fp32\""),
        ("embedding.device", "\"cpu\""),
        ("embedding.offline", "true"),
    ];
    assert_eq!(found, expected.map(|(key, value)| (key, value.to_owned())));
    assert!(flags("strongroom serve").is_empty());
}

#[test]
fn global_flags_stand_anywhere() {
    for line in
        ["strongroom --data /d --json status", "strongroom status --json --data /d", "strongroom status acme --data /d --json"]
    {
        let cli = parsed(line).unwrap();
        assert!(cli.common.json, "{line}");
        assert_eq!(cli.flags().unwrap().len(), 1, "{line}");
    }
}

#[test]
fn search_takes_several_collections_and_bounds() {
    let Command::Search(search) = parsed("strongroom search -c a --collection b --mode lexical --limit 100 q").unwrap().command
    else {
        panic!("not a search");
    };
    assert_eq!((search.collections, search.mode, search.limit), (vec!["a".into(), "b".into()], Mode::Lexical, 100));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let wrong = [
        "strongroom",
        "strongroom serv",
        "strongroom search",
        "strongroom search q --limit 0",
        "strongroom search q --limit 101",
        "strongroom search q --mode fuzzy",
        "strongroom serve --watch acme",
        "strongroom serve --watch =/a",
        "strongroom rebuild",
        "strongroom rebuild acme --all",
        "strongroom destroy",
        "strongroom models",
    ];
    for line in wrong {
        assert!(parsed(line).is_err(), "{line}");
    }
}

#[test]
fn help_is_as_it_was_last_read() {
    let mut text = String::new();
    let mut command = Cli::command().term_width(100);
    command.build();
    text += &command.render_long_help().to_string();
    for sub in command.get_subcommands_mut().filter(|sub| sub.get_name() != "help") {
        text += &format!("\n======== {}\n", sub.get_name());
        text += &sub.render_help().to_string();
    }
    insta::assert_snapshot!("help", text);
}
