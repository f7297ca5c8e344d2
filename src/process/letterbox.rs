//! The order in which a letter is put into a box, rung for, and answered: who sends, who asks, and who reads.
//!
//! A box keeps its letters; a ring only says "look". So a letter is put in before the ring, rings are taken before
//! the box is read, and whoever finds the reader gone looks for an answer once more. In any other order something
//! is waited for that has come already. What a box and a bell are is said elsewhere: the inbox of the store, datagram
//! sockets, and in `tests/interleavings.rs` what `shuttle` goes through in every order.

/// Who puts letters into a box.
pub trait Sender {
    /// What the box says when it does not take one.
    type Error;
    /// What is put in.
    type Letter: ?Sized;
    /// What the box gives for it.
    type Receipt;

    /// Puts it in; it is kept when this returns.
    ///
    /// # Errors
    /// The box does not take it.
    fn put(&self, letter: &Self::Letter) -> Result<Self::Receipt, Self::Error>;

    /// Tells the reader to look. A ring may be lost.
    fn ring(&self);
}

/// Who waits for an answer, with a bell of its own that was up before it asked.
pub trait Asker: Sender {
    /// What comes back.
    type Answer;

    /// The answer to a letter, once there is one.
    ///
    /// # Errors
    /// It cannot be read.
    fn answer(&self, letter: &Self::Receipt) -> Result<Option<Self::Answer>, Self::Error>;

    /// Whether the reader is there.
    fn has_reader(&self) -> bool;

    /// Waits until somebody rings, or for a moment. False once it has been long enough.
    fn wait(&mut self) -> bool;
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked<A> {
    /// The answer.
    Answered(A),
    /// Nobody reads now: the letter lies in the box, for the next one.
    Kept,
    /// Somebody reads and has not answered for too long.
    TooLong,
}

/// Who reads the box.
pub trait Reader {
    /// Why it cannot go on.
    type Error;

    /// Takes the rings that have come.
    fn take_rings(&mut self);

    /// Takes every letter that lies in the box, answers it, and rings those who wait.
    fn read(&mut self) -> impl Future<Output = Result<(), Self::Error>>;
}

/// Puts a letter in, then rings.
///
/// # Errors
/// The box does not take it: then nobody is rung.
pub fn send<S: Sender>(sender: &S, letter: &S::Letter) -> Result<S::Receipt, S::Error> {
    let receipt = sender.put(letter)?;
    sender.ring();
    Ok(receipt)
}

/// Waits for the answer to a letter that was sent.
///
/// # Errors
/// It cannot be read.
pub fn wait_for<A: Asker>(asker: &mut A, letter: &A::Receipt) -> Result<Asked<A::Answer>, A::Error> {
    loop {
        if let Some(answer) = asker.answer(letter)? {
            return Ok(Asked::Answered(answer));
        }
        if !asker.has_reader() {
            // It may have answered as its last act.
            return Ok(asker.answer(letter)?.map_or(Asked::Kept, Asked::Answered));
        }
        if !asker.wait() {
            return Ok(Asked::TooLong);
        }
    }
}

/// One look of the reader's: a ring that comes while it reads is left for the next one.
///
/// # Errors
/// As [`Reader::read`].
pub async fn look<R: Reader>(reader: &mut R) -> Result<(), R::Error> {
    reader.take_rings();
    reader.read().await
}
