//! A bounded queue that is fair by client. Pure: no I/O, no clock, no randomness.
//!
//! 1. Waiting jobs are taken client by client, round robin; the jobs of one client in the order in which it asked.
//! 2. A job that several clients wait for stands in the line of each, and is taken at the earliest of their turns.
//! 3. Jobs that no client waits for come after all others.
//! 4. When the queue is full, the job that goes is the newest of the client with the most waiting jobs. That may be
//!    the new job itself: a client that floods the queue displaces nobody else.
//!
//! A client whose line is shorter than another one's therefore always gets in, and waits for at most one job of each
//! other client before each of its own.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::peer::requester::{ClientAddress, Requester};

/// Jobs of the longest line that are looked at for one to displace. Nearly always the first will do: only jobs that
/// clients with shorter lines wait for, too, are passed over.
const SEARCH_MAX: usize = 64;

/// Jobs that wait, each under the caller's number for it.
#[derive(Debug)]
pub struct FairQueue<J> {
    capacity: usize,
    jobs: HashMap<u64, Waiting<J>>,
    /// Nobody is here without a waiting job, so that there are at most as many as places that are claimed.
    lines: HashMap<Requester, Line>,
    /// Clients by turn: the first is served next.
    turns: BTreeMap<u64, ClientAddress>,
    /// Clients by the length of their lines.
    lengths: BTreeSet<(usize, ClientAddress)>,
    /// Numbers turns and places, in the order in which they were given.
    next: u64,
    /// Jobs that a client waits for.
    wanted: usize,
}

/// A job that waits.
#[derive(Debug)]
struct Waiting<J> {
    job: J,
    /// Whose lines it stands in; one for each requester, and never none.
    claims: Vec<Claim>,
}

/// One requester's place for a job.
#[derive(Debug)]
struct Claim {
    requester: Requester,
    place: u64,
    /// Requests of this requester that wait for the job.
    waiters: usize,
}

/// The jobs of one requester.
#[derive(Debug)]
struct Line {
    turn: u64,
    /// Numbers of jobs by place.
    jobs: BTreeMap<u64, u64>,
}

impl<J> FairQueue<J> {
    /// An empty queue for at most `capacity` jobs.
    pub fn new(capacity: usize) -> Self {
        Self {
            capacity,
            jobs: HashMap::new(),
            lines: HashMap::new(),
            turns: BTreeMap::new(),
            lengths: BTreeSet::new(),
            next: 0,
            wanted: 0,
        }
    }

    /// Jobs that wait.
    pub fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Whether no job waits.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Jobs that wait and that a client waits for.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// The number of jobs that would be taken before a new one of `requester`, at most; it stops counting at `at_most`.
    pub fn turns_before(&self, requester: Requester, at_most: usize) -> usize {
        let Requester::Client(requester) = requester else { return self.len().min(at_most) };
        let own = self.length(Requester::Client(requester));
        let mut before = own;
        for client in self.turns.values().filter(|client| **client != requester) {
            if before >= at_most {
                break;
            }
            // One turn of each other client before each job of this one.
            before += self.length(Requester::Client(*client)).min(own + 1);
        }
        // A job in several lines was counted in each.
        before.min(self.len()).min(at_most)
    }

    /// Puts a job behind the others of its requester; [`FairQueue::join`] tells of each request that waits for it.
    /// The number must be new. Returns what it has displaced.
    ///
    /// # Errors
    /// The job, when the queue is full and it is the one that has to go.
    pub fn push(&mut self, number: u64, requester: Requester, job: J) -> Result<Option<(u64, J)>, J> {
        let displaced = if self.len() < self.capacity {
            None
        } else {
            match self.victim(requester) {
                Some(victim) => self.remove(victim).map(|job| (victim, job)),
                None => return Err(job),
            }
        };
        let before = self.jobs.insert(number, Waiting { job, claims: Vec::with_capacity(1) });
        assert!(before.is_none(), "invariant: queue: every job has a number of its own");
        assert!(
            self.jobs.len() <= self.capacity,
            "invariant: queue: no more jobs wait than there is room for"
        );
        self.claim(number, requester);
        self.assert_consistent();
        Ok(displaced)
    }

    /// Another request waits for this job: it is taken at this requester's turn if that is earlier. Gives the job;
    /// `None` if it waits no more.
    pub fn join(&mut self, number: u64, requester: Requester) -> Option<&mut J> {
        let waiting = self.jobs.get(&number)?;
        if !waiting.claims.iter().any(|claim| claim.requester == requester) {
            self.claim(number, requester);
        }
        let waiting = self.jobs.get_mut(&number)?;
        if let Some(claim) = waiting.claims.iter_mut().find(|claim| claim.requester == requester) {
            claim.waiters += 1;
        }
        Some(&mut waiting.job)
    }

    /// A request that has joined waits no more. Gives the job when nobody waits for it any more: its place is free
    /// at once.
    pub fn leave(&mut self, number: u64, requester: Requester) -> Option<J> {
        let waiting = self.jobs.get_mut(&number)?;
        let index = waiting.claims.iter().position(|claim| claim.requester == requester)?;
        let claim = &mut waiting.claims[index];
        claim.waiters = claim.waiters.saturating_sub(1);
        if claim.waiters > 0 {
            return None;
        }
        if waiting.claims.len() == 1 {
            return self.remove(number);
        }
        let was_wanted = waiting.is_wanted();
        let Claim { place, .. } = waiting.claims.swap_remove(index);
        if was_wanted && !waiting.is_wanted() {
            self.wanted -= 1;
        }
        self.step_out(requester, place);
        None
    }

    /// Takes the job whose turn it is.
    pub fn pop(&mut self) -> Option<(u64, J)> {
        let requester = match self.turns.first_key_value() {
            Some((_, client)) => Requester::Client(*client),
            None => Requester::Background,
        };
        let (_, number) = self.lines.get(&requester)?.jobs.first_key_value()?;
        let number = *number;
        let job = self.remove(number)?;
        self.end_turn(requester);
        self.assert_consistent();
        Some((number, job))
    }

    /// Takes this job out of every line.
    fn assert_consistent(&self) {
        assert!(self.wanted <= self.jobs.len(), "invariant: queue: no more jobs are wanted than wait");
        assert!(
            self.turns.len() == self.lengths.len(),
            "invariant: queue: a client that waits has one turn and one length"
        );
        assert!(
            self.jobs.is_empty() == self.lines.is_empty(),
            "invariant: queue: every job stands in a line, and no line is empty"
        );
    }

    fn remove(&mut self, number: u64) -> Option<J> {
        let waiting = self.jobs.remove(&number)?;
        if waiting.is_wanted() {
            self.wanted -= 1;
        }
        for Claim { requester, place, .. } in waiting.claims {
            self.step_out(requester, place);
        }
        Some(waiting.job)
    }

    /// The job that has to go so that `requester` gets in; `None`: nobody waits for more than it does.
    fn victim(&self, requester: Requester) -> Option<u64> {
        if requester == Requester::Background {
            return None;
        }
        let newest = |requester| self.lines.get(&requester).map(|line| line.jobs.values().rev());
        let mut ahead = newest(Requester::Background).into_iter().flatten().take(SEARCH_MAX);
        if let Some(number) = ahead.find(|number| self.shortest(**number).is_none()) {
            return Some(*number);
        }
        let own = self.length(requester) + 1;
        let (longest, client) = *self.lengths.last()?;
        let mut best = None;
        for number in newest(Requester::Client(client))?.take(SEARCH_MAX) {
            // Each of those who wait for it must be waiting for more than the requester does.
            let shortest = self.shortest(*number).unwrap_or(0);
            if shortest > own && best.is_none_or(|(length, _)| shortest > length) {
                best = Some((shortest, *number));
            }
            if shortest == longest {
                break;
            }
        }
        best.map(|(_, number)| number)
    }

    /// The shortest line of a client that waits for this job; `None` where none does.
    fn shortest(&self, number: u64) -> Option<usize> {
        let clients =
            self.jobs.get(&number)?.claims.iter().filter(|claim| claim.requester.client().is_some());
        clients.map(|claim| self.length(claim.requester)).min()
    }

    fn length(&self, requester: Requester) -> usize {
        self.lines.get(&requester).map_or(0, |line| line.jobs.len())
    }

    /// Gives the job a place at the end of the requester's line.
    fn claim(&mut self, number: u64, requester: Requester) {
        let (turn, place) = (self.next, self.next + 1);
        self.next += 2;
        let Some(waiting) = self.jobs.get_mut(&number) else { return };
        if requester.client().is_some() && !waiting.is_wanted() {
            self.wanted += 1;
        }
        waiting.claims.push(Claim { requester, place, waiters: 0 });
        let line = self.lines.entry(requester).or_insert_with(|| Line { turn, jobs: BTreeMap::new() });
        let before = line.jobs.len();
        line.jobs.insert(place, number);
        if let Requester::Client(client) = requester {
            // The same turn where there is a line already.
            self.turns.insert(line.turn, client);
            self.lengths.remove(&(before, client));
            self.lengths.insert((before + 1, client));
        }
    }

    /// Gives up a place in the requester's line, and its turn with the last one.
    fn step_out(&mut self, requester: Requester, place: u64) {
        let Some(line) = self.lines.get_mut(&requester) else { return };
        let before = line.jobs.len();
        line.jobs.remove(&place);
        let (turn, left) = (line.turn, line.jobs.len());
        if let Requester::Client(client) = requester {
            self.lengths.remove(&(before, client));
            if left > 0 {
                self.lengths.insert((left, client));
            } else {
                self.turns.remove(&turn);
            }
        }
        if left == 0 {
            self.lines.remove(&requester);
        }
    }

    /// It has had its turn.
    fn end_turn(&mut self, requester: Requester) {
        let (Some(line), Requester::Client(client)) = (self.lines.get_mut(&requester), requester) else {
            return;
        };
        self.turns.remove(&line.turn);
        line.turn = self.next;
        self.turns.insert(line.turn, client);
        self.next += 1;
    }
}

impl<J> Waiting<J> {
    /// Whether a client waits for it.
    fn is_wanted(&self) -> bool {
        self.claims.iter().any(|claim| claim.requester.client().is_some())
    }
}
