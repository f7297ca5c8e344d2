//! Real reports made longer, each in every place where it can be.

use serde_json::Value;

/// Pieces that open something and never close it, or that a parser may look for over and over.
pub const UNITS: &[&[u8]] = &[
    b"[",
    b"{\"a\":",
    b"<a>",
    b"<!--",
    b"<![CDATA[",
    b"&amp;",
    b"\"",
    b"\\\"",
    b"\n",
    b"\r",
    b" ",
    b"a",
    b"9",
    b"-",
    b"::",
    b": note: ",
    b"a.py:1:",
    b"(1,1): error ",
    b"error: x\n --> a.rs:1:1\n",
    b"test a ... ok\n",
    b"running 1 test\n",
    b"---- a stdout ----\n",
    b"failures:\n",
    b"Diff in /repo/a.rs:1:\n",
    b"{}\n",
    b"[]\n",
    b"SF:a\nDA:1,1\nend_of_record\n",
    b"# x\n",
    b"{\"Action\":\"output\",\"Package\":\"p\",\"Test\":\"t\",\"Output\":\"o\"}\n",
    b"<testcase/>",
    b"\x1b[",
    b"\xff",
    "é".as_bytes(),
];

/// The report about `size` bytes long, in each way; those of a large size have twice as much of the same.
pub fn grown(bytes: &[u8], size: usize) -> Vec<(String, Vec<u8>)> {
    let mut all = vec![("repeated".to_owned(), bytes.repeat(size / bytes.len().max(1)))];
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        let mut places = Vec::new();
        containers(&value, String::new(), &mut places);
        for place in places {
            all.push((place.clone(), json(&value, &place, size)));
        }
    }
    for tag in ["testcase", "testsuite", "package", "class", "line"] {
        all.extend(element(bytes, tag, size).map(|grown| (format!("<{tag}>"), grown)));
    }
    all
}

/// Pointers to lists and objects that have something; the first ones of many alike.
fn containers(value: &Value, at: String, places: &mut Vec<String>) {
    if places.len() >= 12 {
        return;
    }
    match value {
        Value::Array(items) if !items.is_empty() => {
            containers(&items[0], format!("{at}/0"), places);
            places.push(at);
        }
        Value::Object(items) if !items.is_empty() => {
            for (key, item) in items {
                let key = key.replace('~', "~0").replace('/', "~1");
                containers(item, format!("{at}/{key}"), places);
            }
            places.push(at);
        }
        _ => {}
    }
}

fn json(value: &Value, place: &str, size: usize) -> Vec<u8> {
    let mut value = value.clone();
    match value.pointer_mut(place) {
        Some(Value::Array(items)) => {
            let item = items[0].clone();
            let each = item.to_string().len() + 1;
            items.extend(std::iter::repeat_n(item, size / each));
        }
        Some(Value::Object(items)) => {
            let (key, item) = items.iter().next().map(|(key, item)| (key.clone(), item.clone())).unwrap();
            let each = item.to_string().len() + key.len() + 10;
            items.extend((0..size / each).map(|n| (format!("{key}{n}"), item.clone())));
        }
        _ => {}
    }
    value.to_string().into_bytes()
}

/// The first element of that name many times over.
fn element(bytes: &[u8], tag: &str, size: usize) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let start = text.find(&format!("<{tag} "))?;
    let close = format!("</{tag}>");
    let alone = text[start..].find("/>").map(|at| start + at + 2);
    let closed = text[start..].find(&close).map(|at| start + at + close.len());
    // The first `>` says whether it has a content.
    let opened = start + text[start..].find('>')? + 1;
    let end = if alone == Some(opened) { opened } else { closed? };
    let many = text[start..end].repeat(size / (end - start));
    Some([&text[..start], &many, &text[start..]].concat().into_bytes())
}
