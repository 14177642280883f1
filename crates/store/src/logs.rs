//! Logs: chunks named by their first event, so that the next one is found by its name alone.

use bytes::Bytes;
use drover_api::log::{Event, EventId};
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path};

use crate::{LogChunk, MAX_CHUNK, Run, Store, StoreError, chunk::line_length, tails::Tail};

/// The name of the object that says that nothing follows in an attempt.
const END: &str = "end";

/// How hard [`Store::events_after`] looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Only at what directly follows in the same attempt: two look-ups when there is nothing new. For who follows a log
    /// and stands at the end of a [`Page`].
    Next,
    /// At everything after the given event, which may be any, in later attempts too: lists the log's chunks.
    Thorough,
}

/// Some events of a log, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The events.
    pub events: Vec<Event>,
    /// The last of them, or what was asked for when there is none: where to go on.
    pub next: EventId,
    /// The limit was reached, and there may be more already.
    pub more: bool,
    /// The attempt whose log has ended, and whose last event has been read.
    pub ended: Option<u32>,
}

impl Store {
    /// Stores a piece of a log, once: what is stored already is not stored again. Returns how many bytes it took.
    ///
    /// # Errors
    /// [`StoreError::NotNext`] when events are missing before the chunk or others are stored in its place,
    /// [`StoreError::LogFull`] when the attempt's log would be longer than `max_bytes`, or when the store fails.
    pub async fn put_log_chunk(&self, run: &Run, chunk: LogChunk, max_bytes: u64) -> Result<u64, StoreError> {
        let (store, run) = (self.clone(), run.clone());
        // In a task of its own, because a caller that gives up must not leave a write behind that nobody waits for:
        // it could end after the write that the next caller makes in the same place.
        let put = tokio::spawn(async move {
            let tail = store.tails.of(&run, chunk.first.attempt);
            let mut tail = tail.lock().await;
            // Taken out, because after a failed write it is unknown what is stored, and must be read again.
            let known = match tail.take() {
                Some(known) => known,
                None => store.read_tail(&run, chunk.first.attempt).await?,
            };
            let appended = store.append(&run, chunk, known, max_bytes).await;
            *tail = match &appended {
                Ok(now) => Some(*now),
                Err(StoreError::Objects(_)) => None,
                Err(_) => Some(known),
            };
            appended.map(|now| now.bytes - known.bytes)
        });
        put.await.map_err(|panic| StoreError::Objects(panic.into()))?
    }

    async fn append(&self, run: &Run, mut chunk: LogChunk, tail: Tail, max_bytes: u64) -> Result<Tail, StoreError> {
        while chunk.first.sequence < tail.next {
            let stored = self.read_chunk(run, chunk.first).await?.unwrap_or_default();
            let common = stored.len().min(chunk.events.len());
            if common == 0 || stored[..common] != chunk.events[..common] {
                return Err(StoreError::NotNext(tail.next));
            }
            let Some(rest) = chunk.skip(common) else { return Ok(tail) };
            chunk = rest;
        }
        if chunk.first.sequence > tail.next {
            return Err(StoreError::NotNext(tail.next));
        }
        let lines = chunk.to_lines();
        let bytes = tail.bytes + lines.len() as u64;
        if bytes > max_bytes {
            return Err(StoreError::LogFull(max_bytes));
        }
        self.objects.put(&chunk_path(run, chunk.first), PutPayload::from(lines)).await?;
        Ok(Tail { next: tail.next + chunk.events.len() as u64, bytes })
    }

    /// Marks the log of an attempt as ended: its broker said that it had sent all. To do it again changes nothing, and
    /// more may still come.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn end_log(&self, run: &Run, attempt: u32) -> Result<(), StoreError> {
        self.objects.put(&attempt_path(run, attempt).join(END), PutPayload::from_static(b"")).await?;
        Ok(())
    }

    /// The events after `after`, across attempts. Stops after the chunk with which `limit_bytes` is reached, so a page
    /// holds at most that and [`MAX_CHUNK`].
    ///
    /// # Errors
    /// When the store fails or is damaged.
    pub async fn events_after(
        &self,
        run: &Run,
        after: EventId,
        limit_bytes: usize,
        look: Look,
    ) -> Result<Page, StoreError> {
        let mut reader = Reader { store: self, run, limit_bytes, bytes: 0, page: Page::at(after) };
        match look {
            Look::Next => reader.read_next().await?,
            Look::Thorough => reader.read_all().await?,
        }
        Ok(reader.page)
    }

    /// The events of the chunk that begins with `first`.
    async fn read_chunk(&self, run: &Run, first: EventId) -> Result<Option<Vec<Event>>, StoreError> {
        let path = chunk_path(run, first);
        let bytes = match self.objects.get(&path).await {
            Ok(found) if found.meta.size > 2 * MAX_CHUNK as u64 => return Err(StoreError::Damaged(path)),
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        parse(&bytes).map(Some).ok_or(StoreError::Damaged(path))
    }

    async fn is_ended(&self, run: &Run, attempt: u32) -> Result<bool, StoreError> {
        match self.objects.head(&attempt_path(run, attempt).join(END)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Where the log of an attempt ends, as the store has it.
    async fn read_tail(&self, run: &Run, attempt: u32) -> Result<Tail, StoreError> {
        let chunks = self.list_chunks(run, attempt).await?;
        let bytes = chunks.iter().map(|chunk| chunk.bytes).sum();
        let Some(last) = chunks.last() else { return Ok(Tail { next: 1, bytes }) };
        let first = EventId { attempt, sequence: last.first };
        let events = self.read_chunk(run, first).await?.unwrap_or_default();
        Ok(Tail { next: last.first + events.len() as u64, bytes })
    }

    /// The chunks of an attempt in order.
    async fn list_chunks(&self, run: &Run, attempt: u32) -> Result<Vec<ListedChunk>, StoreError> {
        let mut chunks: Vec<ListedChunk> = self
            .objects
            .list(Some(&attempt_path(run, attempt)))
            .try_filter_map(|object| async move {
                let first = object.location.filename().and_then(|name| name.parse().ok());
                Ok(first.map(|first| ListedChunk { first, bytes: object.size }))
            })
            .try_collect()
            .await?;
        chunks.sort_unstable_by_key(|chunk| chunk.first);
        Ok(chunks)
    }

    /// The attempts that have a log, from `from` on, in order.
    async fn list_attempts(&self, run: &Run, from: u32) -> Result<Vec<u32>, StoreError> {
        let folders = self.folders(Some(&logs_path(run))).await?;
        let mut attempts: Vec<u32> = folders.iter().filter_map(|folder| folder.filename()?.parse().ok()).collect();
        attempts.retain(|attempt| *attempt >= from);
        attempts.sort_unstable();
        Ok(attempts)
    }
}

struct ListedChunk {
    first: u64,
    bytes: u64,
}

impl Page {
    const fn at(next: EventId) -> Self {
        Self { events: Vec::new(), next, more: false, ended: None }
    }
}

/// Reads on from where its page ends.
struct Reader<'a> {
    store: &'a Store,
    run: &'a Run,
    limit_bytes: usize,
    bytes: usize,
    page: Page,
}

impl Reader<'_> {
    /// Takes one chunk after the other as long as the next is found by its name.
    async fn read_next(&mut self) -> Result<(), StoreError> {
        let attempt = self.page.next.attempt;
        // The mark is looked for before the chunks: all of them were stored before it.
        let ended = self.store.is_ended(self.run, attempt).await?;
        while let Some(sequence) = self.page.next.sequence.checked_add(1) {
            let Some(events) = self.store.read_chunk(self.run, EventId { attempt, sequence }).await? else { break };
            self.take(events);
            if self.page.more {
                return Ok(());
            }
        }
        self.page.ended = ended.then_some(attempt);
        Ok(())
    }

    async fn read_all(&mut self) -> Result<(), StoreError> {
        for attempt in self.store.list_attempts(self.run, self.page.next.attempt).await? {
            let ended = self.store.is_ended(self.run, attempt).await?;
            let chunks = self.store.list_chunks(self.run, attempt).await?;
            if attempt > self.page.next.attempt {
                self.page.next = EventId { attempt, sequence: 0 };
            }
            let wanted = self.page.next.sequence.saturating_add(1);
            // The chunk that holds the wanted event is the last that begins at or before it.
            let start = chunks.partition_point(|chunk| chunk.first <= wanted).saturating_sub(1);
            for chunk in &chunks[start..] {
                let first = EventId { attempt, sequence: chunk.first };
                self.take(self.store.read_chunk(self.run, first).await?.unwrap_or_default());
                if self.page.more {
                    return Ok(());
                }
            }
            self.page.ended = ended.then_some(attempt);
        }
        Ok(())
    }

    /// Adds those of a chunk's events that are new.
    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            if event.id <= self.page.next {
                continue;
            }
            self.bytes += line_length(&event);
            self.page.next = event.id;
            self.page.events.push(event);
        }
        self.page.more = self.bytes >= self.limit_bytes;
    }
}

fn parse(lines: &Bytes) -> Option<Vec<Event>> {
    lines.split(|b| *b == b'\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_slice(line).ok()).collect()
}

fn logs_path(run: &Run) -> Path {
    run.folder().join("logs")
}

/// Numbers are padded to their full width, so that their order is that of their names.
fn attempt_path(run: &Run, attempt: u32) -> Path {
    logs_path(run).join(format!("{attempt:010}"))
}

fn chunk_path(run: &Run, first: EventId) -> Path {
    attempt_path(run, first.attempt).join(format!("{:020}", first.sequence))
}

#[cfg(test)]
mod tests;
