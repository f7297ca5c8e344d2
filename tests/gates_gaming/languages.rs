//! The same in Rust, JavaScript, TypeScript and Go.

use crate::arena::{Alone, Arena, Case, Change, all, directory, every, gone, put};

const RUST: [(&str, &str); 3] = [
    ("Cargo.toml", "[package]\nname = \"demo\"\nversion = \"0.1.0\"\nedition = \"2021\"\n"),
    ("Cargo.lock", "version = 4\n\n[[package]]\nname = \"demo\"\nversion = \"0.1.0\"\n"),
    (
        "src/lib.rs",
        "//! A crate.\n\n/// Twice `x`.\npub fn double(x: i32) -> i32 {\n    2 * x\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn doubles() {\n        assert_eq!(super::double(3), 6);\n    }\n\n    #[test]\n    fn doubles_nothing() {\n        assert_eq!(super::double(0), 0);\n    }\n}\n",
    ),
];

fn told(rule: &'static str, path: &'static str) -> (&'static str, &'static str, &'static str) {
    ("integrity", rule, path)
}

#[test]
fn of_rust() {
    let lib = RUST[2].1;
    let clippy =
        Alone::Says(&["cargo", "clippy", "--offline", "-q", "--all-targets", "--", "-D", "warnings"]);
    let test = Alone::Says(&["cargo", "test", "--offline", "-q"]);
    let lint = |mark: &str| {
        vec![put("src/lib.rs", &lib.replace("    2 * x\n", &format!("    {mark}return 2 * x;\n")))]
    };
    let wrong = lib.replace("2 * x", "3 * x");
    let hidden = |text: &str, by: &str| vec![put("src/lib.rs", &wrong.replacen(text, by, 1))];
    let case = |name, tool, broken: Change, hidden, told| Case { name, tool, broken, hidden, told };
    let broken = || vec![put("src/lib.rs", &wrong)];
    all(
        RUST.to_vec(),
        &[
            case(
                "allow",
                clippy,
                lint(""),
                lint("#[allow(clippy::needless_return)]\n    "),
                told("suppression", "src/lib.rs"),
            ),
            case(
                "ignore",
                test,
                broken(),
                hidden("    #[test]\n", "    #[test]\n    #[ignore]\n"),
                told("skipped-test", "src/lib.rs"),
            ),
            case(
                "no tests at all",
                test,
                broken(),
                vec![
                    put("src/lib.rs", &wrong),
                    put("Cargo.toml", &format!("{}\n[lib]\ntest = false\n", RUST[0].1)),
                ],
                told("tool-settings", "Cargo.toml"),
            ),
        ],
    );
}

const SCRIPT: [(&str, &str); 5] = [
    (
        "package.json",
        "{ \"name\": \"demo\", \"type\": \"module\", \"devDependencies\": { \"vitest\": \"*\" } }\n",
    ),
    ("eslint.config.js", "import js from \"@eslint/js\";\n\nexport default [js.configs.recommended];\n"),
    (
        "tsconfig.json",
        "{ \"compilerOptions\": { \"strict\": true, \"noEmit\": true, \"skipLibCheck\": true, \"types\": [] }, \"include\": [\"src/*.ts\"] }\n",
    ),
    ("src/a.js", "export const double = (x) => 2 * x;\nexport const halve = (x) => x / 2;\n"),
    (
        "src/a.test.js",
        "import { expect, test } from \"vitest\";\nimport { double, halve } from \"./a.js\";\n\ntest(\"doubles\", () => {\n  expect(double(2)).toBe(4);\n});\n\ntest(\"halves\", () => {\n  expect(halve(2)).toBe(1);\n});\n",
    ),
];

#[test]
fn of_javascript_and_typescript() {
    let Some(modules) = directory("SPRINT_TEST_LANGUAGES", "node_modules") else { return };
    let base = [SCRIPT.to_vec(), vec![("src/b.ts", "export const twice = (x: number): number => 2 * x;\n")]]
        .concat();
    let arena = Arena::new(base);
    std::os::unix::fs::symlink(modules, arena.top.join("node_modules")).unwrap();
    std::fs::write(arena.top.join(".git/info/exclude"), "node_modules\n").unwrap();
    let eslint = Alone::Says(&["node_modules/.bin/eslint", "."]);
    let tsc = Alone::Says(&["node_modules/.bin/tsc", "--noEmit", "-p", "."]);
    let vitest = Alone::Says(&["node_modules/.bin/vitest", "run"]);
    let (code, tests) = (SCRIPT[3].1, SCRIPT[4].1);
    let unused = |mark: &str| vec![put("src/a.js", &format!("{code}{mark}const unused = 1;\n"))];
    let types = |mark: &str| {
        vec![put("src/b.ts", &format!("{mark}export const twice = (x: number): string => 2 * x;\n"))]
    };
    let wrong = || put("src/a.js", &code.replace("2 * x", "3 * x"));
    let skipped = |by: &str| vec![wrong(), put("src/a.test.js", &tests.replacen("test(\"doubles\"", by, 1))];
    let cases = [
        Case {
            name: "eslint-disable",
            tool: eslint,
            broken: unused(""),
            hidden: unused("// eslint-disable-next-line\n"),
            told: told("suppression", "src/a.js"),
        },
        Case {
            name: "eslint, in a comment",
            tool: eslint,
            broken: unused(""),
            hidden: unused("/* eslint no-unused-vars: 0 */\n"),
            told: told("suppression", "src/a.js"),
        },
        Case {
            name: "eslint's configuration",
            tool: eslint,
            broken: unused(""),
            hidden: unused("").into_iter().chain([put("eslint.config.js", "export default [];\n")]).collect(),
            told: told("tool-settings", "eslint.config.js"),
        },
        Case {
            name: "@ts-ignore",
            tool: tsc,
            broken: types(""),
            hidden: types("// @ts-ignore\n"),
            told: told("suppression", "src/b.ts"),
        },
        Case {
            name: "skip",
            tool: vitest,
            broken: vec![wrong()],
            hidden: skipped("test.skip(\"doubles\""),
            told: told("skipped-test", "src/a.test.js"),
        },
        Case {
            name: "a program of the same name",
            tool: Alone::NotAsked,
            broken: vec![],
            hidden: vec![put("bin/eslint", "#!/bin/sh\necho '[]'\n")],
            told: told("shadow", "bin/eslint"),
        },
    ];
    every(&arena, &cases);
}

const GO: [(&str, &str); 3] = [
    ("go.mod", "module example.org/demo\n\ngo 1.21\n"),
    (
        "a.go",
        "// Package demo is one.\npackage demo\n\n// Double is twice x.\nfunc Double(x int) int { return 2 * x }\n",
    ),
    (
        "a_test.go",
        "package demo\n\nimport \"testing\"\n\nfunc TestDouble(t *testing.T) {\n\tif Double(2) != 4 {\n\t\tt.Fatal(\"not 4\")\n\t}\n}\n\nfunc TestNothing(t *testing.T) {\n\tif Double(0) != 0 {\n\t\tt.Fatal(\"not 0\")\n\t}\n}\n",
    ),
];

#[test]
fn of_go() {
    let Some(go) = directory("SPRINT_TEST_LANGUAGES", "go-venv/bin") else { return };
    let program: &'static str = go.join("go").to_str().unwrap().to_owned().leak();
    let test = Alone::Says(vec![program, "test", "./..."].leak());
    let wrong = || put("a.go", &GO[1].1.replace("2 * x", "3 * x"));
    let tests = |by: &str| vec![wrong(), put("a_test.go", &GO[2].1.replacen("\tif Double(2)", by, 1))];
    all(
        GO.to_vec(),
        &[
            Case {
                name: "Skip",
                tool: test,
                broken: vec![wrong()],
                hidden: tests("\tt.Skip()\n\tif Double(2)"),
                told: told("skipped-test", "a_test.go"),
            },
            Case {
                name: "TestMain",
                tool: test,
                broken: vec![wrong()],
                hidden: vec![
                    wrong(),
                    put(
                        "main_test.go",
                        "package demo\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestMain(m *testing.M) {\n\tm.Run()\n\tos.Exit(0)\n}\n",
                    ),
                ],
                told: told("test-hook", "main_test.go"),
            },
            Case {
                name: "a file less",
                tool: test,
                broken: vec![wrong()],
                hidden: vec![wrong(), gone("a_test.go")],
                told: told("removed-test", "a_test.go"),
            },
            // golangci-lint is not to be had; that it is silenced is seen without it.
            Case {
                name: "nolint",
                tool: Alone::NotAsked,
                broken: vec![],
                hidden: vec![put("b.go", "package demo\n\nfunc unused() {} //nolint:unused\n")],
                told: told("suppression", "b.go"),
            },
        ],
    );
}
