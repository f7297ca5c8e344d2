//! The real agent programs against the stand-in for their models.

mod standin;

#[test]
fn starts() {
    let standin = standin::Standin::start(standin::Scenario::default());
    assert_eq!(standin.count(), 0);
}
