//! The stores of contracts while a call runs (`docs/protocol/contracts` §2.8).

mod allocate;
mod finish;
mod references;

use std::collections::BTreeMap;
use std::sync::Arc;

use strait_encoding::ContractId;

use crate::encoding::Unserializable;
use crate::host::{Host, HostError};
use crate::integer::Integer;
use crate::map::Map;
use crate::value::{StoreMap, Value};

pub(crate) use finish::finish;

/// Why a store could not be read or written.
pub(crate) enum StoreFault {
    Host(HostError),
    /// What is in the store, or goes into it, makes no sense.
    Broken(&'static str),
    OutOfGas,
}

impl From<HostError> for StoreFault {
    fn from(error: HostError) -> Self {
        StoreFault::Host(error)
    }
}

impl From<Unserializable> for StoreFault {
    fn from(error: Unserializable) -> Self {
        StoreFault::Broken(error.0)
    }
}

/// The register that knows about the maps of a store.
const METADATA: u64 = 0;
const REGISTERS: u8 = 0;
const MAPS: u8 = 1;

/// What a new contract's store holds: no maps.
pub(crate) fn initial() -> Vec<(Vec<u8>, Vec<u8>)> {
    // An empty map of metadata; the encoding of the empty map is fixed.
    vec![(register_key(METADATA), vec![0x2f, 0x00])]
}

/// What was read of the stores of contracts and written to them. A copy costs nothing.
#[derive(Clone, Default)]
pub(crate) struct Stores(Arc<BTreeMap<ContractId, Arc<Registers>>>);

#[derive(Clone, Default)]
struct Registers {
    terms: BTreeMap<u64, Term>,
    dirty: bool,
}

#[derive(Clone)]
struct Term {
    value: Value,
    dirty: bool,
}

/// A register as it was found.
pub(crate) struct Found {
    pub value: Value,
    /// Was it read from the store just now?
    pub fresh: bool,
}

impl Stores {
    /// Reads a register; nothing if it was never written.
    pub fn read(
        &mut self,
        contract: ContractId,
        register: u64,
        host: &dyn Host,
    ) -> Result<Option<Found>, StoreFault> {
        if let Some(term) = self.0.get(&contract).and_then(|registers| registers.terms.get(&register)) {
            return Ok(Some(Found { value: term.value.clone(), fresh: false }));
        }
        let Some(bytes) = host.store_value(contract, &register_key(register))? else { return Ok(None) };
        let value = stored(&bytes)?;
        let registers = self.registers(contract);
        registers.terms.insert(register, Term { value: value.clone(), dirty: false });
        Ok(Some(Found { value, fresh: true }))
    }

    /// Writes a register.
    pub fn write(&mut self, contract: ContractId, register: u64, value: Value) {
        let registers = self.registers(contract);
        registers.dirty = true;
        registers.terms.insert(register, Term { value, dirty: true });
    }

    /// The entry of a map in the store.
    pub fn map_entry(
        &mut self,
        contract: ContractId,
        map: &StoreMap,
        key: &Value,
        host: &dyn Host,
    ) -> Result<Option<Value>, StoreFault> {
        let bytes = self.map_entry_bytes(contract, map, key, host)?;
        bytes.map(|bytes| stored(&bytes)).transpose()
    }

    /// Is there an entry under `key` in the store?
    pub fn map_member(
        &mut self,
        contract: ContractId,
        map: &StoreMap,
        key: &Value,
        host: &dyn Host,
    ) -> Result<bool, StoreFault> {
        Ok(self.map_entry_bytes(contract, map, key, host)?.is_some())
    }

    /// How many entries a map has in the store.
    pub fn map_size(
        &mut self,
        contract: ContractId,
        map: &StoreMap,
        host: &dyn Host,
    ) -> Result<u64, StoreFault> {
        let meta = self.meta(contract, &map.id, host)?;
        meta.size.ok_or(StoreFault::Broken("a map without a size"))
    }

    /// What the store holds of a map.
    pub fn map_entries(
        &mut self,
        contract: ContractId,
        map: &StoreMap,
        host: &dyn Host,
    ) -> Result<Map, StoreFault> {
        let raw = self.meta(contract, &map.id, host)?.raw()?;
        let entries = host.store_entries(contract, &map_key(raw)?)?;
        entries.into_iter().map(|(key, value)| Ok((stored(&key)?, stored(&value)?))).collect()
    }

    /// The values of the registers that will be written.
    pub fn dirty_values(&self) -> Vec<Value> {
        let dirty = self.0.values().filter(|registers| registers.dirty);
        let terms = dirty.flat_map(|registers| registers.terms.values());
        terms.filter(|term| term.dirty).map(|term| term.value.clone()).collect()
    }

    fn registers(&mut self, contract: ContractId) -> &mut Registers {
        let contracts = Arc::make_mut(&mut self.0);
        Arc::make_mut(contracts.entry(contract).or_default())
    }

    fn map_entry_bytes(
        &mut self,
        contract: ContractId,
        map: &StoreMap,
        key: &Value,
        host: &dyn Host,
    ) -> Result<Option<Vec<u8>>, StoreFault> {
        let raw = self.meta(contract, &map.id, host)?.raw()?;
        let place = [map_key(raw)?, key.encode()?].concat();
        Ok(host.store_value(contract, &place)?)
    }

    fn meta(&mut self, contract: ContractId, id: &Integer, host: &dyn Host) -> Result<Meta, StoreFault> {
        let found = self.read(contract, METADATA, host)?;
        let Some(Found { value: Value::Map(all), .. }) = found else {
            return Err(StoreFault::Broken("a store without metadata"));
        };
        all.get(&Value::Integer(id.clone()))
            .and_then(Meta::of)
            .ok_or(StoreFault::Broken("a map that the store does not know"))
    }
}

/// What is known about a map in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Meta {
    /// Under which number its entries are kept; nothing until it is written.
    raw: Option<u64>,
    /// How often registers and other maps refer to it.
    references: i64,
    size: Option<u64>,
}

impl Meta {
    fn of(value: &Value) -> Option<Self> {
        let Value::Tuple(fields) = value else { return None };
        let [Value::Integer(raw), Value::Integer(references), Value::Integer(size)] = &fields[..] else {
            return None;
        };
        Some(Self { raw: Some(raw.to_u64()?), references: references.small()?, size: Some(size.to_u64()?) })
    }

    fn raw(&self) -> Result<u64, StoreFault> {
        self.raw.ok_or(StoreFault::Broken("a map that was never written"))
    }
}

fn stored(bytes: &[u8]) -> Result<Value, StoreFault> {
    Value::decode(bytes).map_err(|_| StoreFault::Broken("bytes in a store that are no value"))
}

fn register_key(register: u64) -> Vec<u8> {
    let mut key = vec![REGISTERS];
    key.extend(Integer::from(register).magnitude());
    key
}

fn map_key(raw: u64) -> Result<Vec<u8>, StoreFault> {
    let raw = u32::try_from(raw).map_err(|_| StoreFault::Broken("a map number above 32 bits"))?;
    let mut key = vec![MAPS];
    key.extend(raw.to_be_bytes());
    Ok(key)
}
