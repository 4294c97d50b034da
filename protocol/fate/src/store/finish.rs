//! Writing the stores at the end of a call: new and changed maps, counting of references, and garbage.

use std::collections::{BTreeMap, BTreeSet};

use strait_encoding::ContractId;

use crate::erlang::order;
use crate::host::Host;
use crate::map::Map;
use crate::store::allocate::{NewMap, allocate};
use crate::store::references::{Counts, Metadata, changed, count};
use crate::store::{METADATA, Meta, Registers, StoreFault, Stores, map_key, register_key, stored};
use crate::value::Value;

/// Gas per byte written.
const GAS_PER_BYTE: u64 = 5;
/// How often the decision about reuse is reconsidered.
const ROUNDS: usize = 100;

/// Writes every changed store. Gives the gas that is left of `gas`.
pub(crate) fn finish(stores: &Stores, host: &mut dyn Host, gas: u64) -> Result<u64, StoreFault> {
    let mut gas = gas;
    let mut writes = Vec::new();
    for (contract, registers) in stores.0.iter().filter(|(_, registers)| registers.dirty) {
        let changes = finish_contract(*contract, registers, host, &mut gas)?;
        writes.push((*contract, changes));
    }
    for (contract, changes) in writes {
        host.write_store(contract, &changes)?;
    }
    Ok(gas)
}

type Changes = Vec<(Vec<u8>, Option<Vec<u8>>)>;
/// Which old map is taken over, changed in place, by which new one.
type Reuse = BTreeMap<u64, u64>;

fn finish_contract(
    contract: ContractId,
    registers: &Registers,
    host: &dyn Host,
    gas: &mut u64,
) -> Result<Changes, StoreFault> {
    let mut store = Overlay { contract, host, changes: BTreeMap::new(), gas };
    let before = store.metadata(registers)?;
    let used: BTreeSet<u64> = before.iter().flat_map(|(id, meta)| [Some(*id), meta.raw]).flatten().collect();
    let dirty = registers.terms.iter().filter(|(register, term)| term.dirty && **register != METADATA);
    let (numbers, values): (Vec<u64>, Vec<Value>) =
        dirty.map(|(register, term)| (*register, term.value.clone())).unzip();
    let (values, maps) = allocate(used, &values)?;

    let mut counts = Counts::new();
    for (register, value) in numbers.iter().zip(&values) {
        count(value, 1, &mut counts)?;
        if let Some(bytes) = store.get(&register_key(*register))? {
            count(&stored(&bytes)?, -1, &mut counts)?;
        }
    }
    for map in maps.values() {
        let (NewMap::Fresh(values) | NewMap::Changed { cache: values, .. }) = map;
        values.iter().try_for_each(|(_, value)| count(value, 1, &mut counts))?;
    }
    let decided = reuse(&maps, &changed(&before, &counts), &store)?;
    let (garbage, mut after) = garbage(&decided, &store)?;

    for (register, value) in numbers.iter().zip(&values) {
        store.put_charged(register_key(*register), value)?;
    }
    let in_place = |id: &u64, map: &NewMap| match map {
        NewMap::Changed { old, .. } => decided.reuse.get(old) == Some(id),
        NewMap::Fresh(_) => false,
    };
    for (id, map) in maps.iter().filter(|(id, map)| !in_place(id, map)) {
        store.copy_map(*id, map, &before, &mut after)?;
    }
    for (id, map) in maps.iter().filter(|(id, map)| in_place(id, map)) {
        if let NewMap::Changed { old, cache } = map {
            store.change_map(*id, *old, cache, &mut after)?;
        }
    }
    for raw in garbage {
        store.remove_map(raw)?;
    }
    let metadata = metadata_value(&after)?;
    store.put_charged(register_key(METADATA), &metadata)?;
    Ok(store.changes.into_iter().collect())
}

struct Decided {
    unused: BTreeSet<u64>,
    reuse: Reuse,
    metadata: Metadata,
}

/// Decides which maps can be changed in place: those that nothing refers to any more, taking into account that
/// changing or copying a map changes the references of what is inside it.
fn reuse(
    maps: &BTreeMap<u64, NewMap>,
    metadata: &Metadata,
    store: &Overlay<'_>,
) -> Result<Decided, StoreFault> {
    let ids = order::walk(maps.keys().copied());
    let changed_maps = maps.values().filter(|map| matches!(map, NewMap::Changed { .. })).count();
    // First as if nothing had to be copied: that spares reading whole maps, and is exact if it turns out so.
    let hopeful = fixpoint(&ids, maps, metadata, store, false)?;
    if hopeful.reuse.len() == changed_maps {
        let counts = inner_counts(&ids, maps, &hopeful.reuse, metadata, store, true)?;
        return Ok(Decided { metadata: changed(metadata, &counts), ..hopeful });
    }
    fixpoint(&ids, maps, metadata, store, true)
}

fn fixpoint(
    ids: &[u64],
    maps: &BTreeMap<u64, NewMap>,
    metadata: &Metadata,
    store: &Overlay<'_>,
    copies: bool,
) -> Result<Decided, StoreFault> {
    let mut unused = unreferenced(metadata);
    for _ in 0..ROUNDS {
        let reuse = takeovers(ids, maps, &unused);
        let counts = inner_counts(ids, maps, &reuse, metadata, store, copies)?;
        let after = changed(metadata, &counts);
        let now = unreferenced(&after);
        if now == unused {
            return Ok(Decided { unused, reuse, metadata: after });
        }
        unused = now;
    }
    let reuse = takeovers(ids, maps, &unused);
    let counts = if copies { inner_counts(ids, maps, &reuse, metadata, store, true)? } else { Counts::new() };
    Ok(Decided { unused, reuse, metadata: changed(metadata, &counts) })
}

fn unreferenced(metadata: &Metadata) -> BTreeSet<u64> {
    metadata.iter().filter(|(_, meta)| meta.references == 0).map(|(id, _)| *id).collect()
}

/// Each map can be taken over once; the last one in the reference's order gets it.
fn takeovers(ids: &[u64], maps: &BTreeMap<u64, NewMap>, unused: &BTreeSet<u64>) -> Reuse {
    let takeover = |id: &u64| match maps.get(id) {
        Some(NewMap::Changed { old, .. }) if unused.contains(old) => Some((*old, *id)),
        _ => None,
    };
    ids.iter().filter_map(takeover).collect()
}

/// How references change by what is inside changed maps.
fn inner_counts(
    ids: &[u64],
    maps: &BTreeMap<u64, NewMap>,
    reuse: &Reuse,
    metadata: &Metadata,
    store: &Overlay<'_>,
    copies: bool,
) -> Result<Counts, StoreFault> {
    let mut counts = Counts::new();
    for id in ids {
        let Some(NewMap::Changed { old, cache }) = maps.get(id) else { continue };
        let raw = known(metadata, *old)?.raw()?;
        if reuse.get(old) == Some(id) {
            for (key, _) in cache {
                if let Some(bytes) = store.get(&[map_key(raw)?, key.encode()?].concat())? {
                    count(&stored(&bytes)?, -1, &mut counts)?;
                }
            }
        } else if copies {
            let keys: BTreeSet<Vec<u8>> =
                cache.iter().map(|(key, _)| key.encode()).collect::<Result<_, _>>()?;
            for (key, value) in store.map(raw)? {
                if !keys.contains(&key) {
                    count(&stored(&value)?, 1, &mut counts)?;
                }
            }
        }
    }
    Ok(counts)
}

fn known(metadata: &Metadata, id: u64) -> Result<Meta, StoreFault> {
    metadata.get(&id).copied().ok_or(StoreFault::Broken("a map that the store does not know"))
}

/// The raw numbers of the maps that nobody needs any more, and the metadata without them.
fn garbage(decided: &Decided, store: &Overlay<'_>) -> Result<(Vec<u64>, Metadata), StoreFault> {
    let mut metadata = decided.metadata.clone();
    let mut unused = decided.unused.clone();
    let mut removed = Vec::new();
    loop {
        let garbage: Vec<u64> = unused.into_iter().filter(|id| !decided.reuse.contains_key(id)).collect();
        if garbage.is_empty() {
            return Ok((removed, metadata));
        }
        let mut counts = Counts::new();
        for id in &garbage {
            let raw = known(&metadata, *id)?.raw()?;
            removed.push(raw);
            for (_, value) in store.map(raw)? {
                count(&stored(&value)?, -1, &mut counts)?;
            }
        }
        metadata = changed(&metadata, &counts);
        garbage.iter().for_each(|id| {
            metadata.remove(id);
        });
        unused = unreferenced(&metadata);
    }
}

fn metadata_value(metadata: &Metadata) -> Result<Value, StoreFault> {
    let mut map = Map::EMPTY;
    for (id, meta) in metadata {
        let size = meta.size.ok_or(StoreFault::Broken("a map without a size"))?;
        let fields = vec![Value::from(meta.raw()?), Value::from(meta.references), Value::from(size)];
        map = map.insert(Value::from(*id), Value::tuple(fields));
    }
    Ok(Value::Map(map))
}

/// A store with the changes that will be written.
struct Overlay<'a> {
    contract: ContractId,
    host: &'a dyn Host,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    gas: &'a mut u64,
}

impl Overlay<'_> {
    fn metadata(&self, registers: &Registers) -> Result<Metadata, StoreFault> {
        let value = match registers.terms.get(&METADATA) {
            Some(term) => term.value.clone(),
            None => match self.get(&register_key(METADATA))? {
                Some(bytes) => stored(&bytes)?,
                None => return Err(StoreFault::Broken("a store without metadata")),
            },
        };
        let Value::Map(map) = value else { return Err(StoreFault::Broken("metadata that is no map")) };
        let entry = |(id, meta): (&Value, &Value)| match id {
            Value::Integer(id) => Some((id.to_u64()?, Meta::of(meta)?)),
            _ => None,
        };
        let entries: Option<Metadata> = map.iter().map(entry).collect();
        entries.ok_or(StoreFault::Broken("metadata of another shape"))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreFault> {
        match self.changes.get(key) {
            Some(value) => Ok(value.clone()),
            None => Ok(self.host.store_value(self.contract, key)?),
        }
    }

    /// The entries of a map: bytes of keys and of values.
    fn map(&self, raw: u64) -> Result<BTreeMap<Vec<u8>, Vec<u8>>, StoreFault> {
        let prefix = map_key(raw)?;
        let mut entries: BTreeMap<_, _> =
            self.host.store_entries(self.contract, &prefix)?.into_iter().collect();
        let written = self.changes.range(prefix.clone()..).take_while(|(key, _)| key.starts_with(&prefix));
        for (key, value) in written.filter(|(key, _)| key.len() > prefix.len()) {
            let key = key[prefix.len()..].to_vec();
            match value {
                Some(value) => entries.insert(key, value.clone()),
                None => entries.remove(&key),
            };
        }
        Ok(entries)
    }

    fn charge(&mut self, bytes: usize) -> Result<(), StoreFault> {
        let cost = (bytes as u64).saturating_mul(GAS_PER_BYTE);
        *self.gas = self.gas.checked_sub(cost).ok_or(StoreFault::OutOfGas)?;
        Ok(())
    }

    fn put_charged(&mut self, key: Vec<u8>, value: &Value) -> Result<(), StoreFault> {
        let value = value.encode()?;
        self.charge(key.len() + value.len())?;
        self.changes.insert(key, Some(value));
        Ok(())
    }

    /// Writes a map under its own number: all its entries.
    fn copy_map(
        &mut self,
        id: u64,
        map: &NewMap,
        before: &Metadata,
        after: &mut Metadata,
    ) -> Result<(), StoreFault> {
        let mut size = 0;
        let mut bytes = 0;
        let values = match map {
            NewMap::Fresh(values) => values,
            NewMap::Changed { old, cache } => {
                let old = known(before, *old)?;
                let entries = self.map(old.raw()?)?;
                size = old.size.unwrap_or_default();
                for (key, _) in cache.iter() {
                    let key = key.encode()?;
                    if entries.contains_key(&key) {
                        size = size.saturating_sub(1);
                    }
                }
                for (key, value) in entries {
                    bytes += key.len() + value.len();
                    self.changes.insert([map_key(id)?, key].concat(), Some(value));
                }
                cache
            }
        };
        size += values.iter().filter(|(_, value)| !matches!(value, Value::Removed)).count() as u64;
        bytes += self.put_entries(id, values)?;
        self.charge(bytes)?;
        self.changes.insert(map_key(id)?, Some(vec![0]));
        let references = known(after, id)?.references;
        after.insert(id, Meta { raw: Some(id), references, size: Some(size) });
        Ok(())
    }

    /// Changes the map `old` where it is; from now on it is known as `id`.
    fn change_map(&mut self, id: u64, old: u64, cache: &Map, after: &mut Metadata) -> Result<(), StoreFault> {
        let references = known(after, id)?.references;
        let meta = known(after, old)?;
        let raw = meta.raw()?;
        let mut size = meta.size.unwrap_or_default();
        for (key, value) in cache.iter() {
            let there = self.get(&[map_key(raw)?, key.encode()?].concat())?.is_some();
            match (there, matches!(value, Value::Removed)) {
                (true, true) => size = size.saturating_sub(1),
                (false, false) => size += 1,
                _ => {}
            }
        }
        let bytes = self.put_entries(raw, cache)?;
        self.charge(bytes)?;
        after.remove(&old);
        after.insert(id, Meta { raw: Some(raw), references, size: Some(size) });
        // The reference looks for overwritten references under the bare keys; under consensus all the same.
        let mut counts = Counts::new();
        for (key, _) in cache.iter() {
            if let Some(bytes) = self.get(&key.encode()?)? {
                count(&stored(&bytes)?, -1, &mut counts)?;
            }
        }
        *after = changed(after, &counts);
        Ok(())
    }

    fn put_entries(&mut self, raw: u64, values: &Map) -> Result<usize, StoreFault> {
        let mut bytes = 0;
        for (key, value) in values {
            let key = key.encode()?;
            let value = match value {
                Value::Removed => None,
                value => Some(value.encode()?),
            };
            bytes += value.as_ref().map_or(0, |value| key.len() + value.len());
            self.changes.insert([map_key(raw)?, key].concat(), value);
        }
        Ok(bytes)
    }

    fn remove_map(&mut self, raw: u64) -> Result<(), StoreFault> {
        let prefix = map_key(raw)?;
        for key in self.map(raw)?.into_keys() {
            self.changes.insert([&prefix[..], &key].concat(), None);
        }
        self.changes.insert(prefix, None);
        Ok(())
    }
}
