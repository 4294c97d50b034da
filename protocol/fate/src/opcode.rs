//! The table of instructions (`docs/protocol/fate_opcodes`).

use crate::code::Operand;
use crate::machine::{Machine, Step};
use crate::op::{
    bits, bls, bytes, chain, control, crypto, data, integer, logic, maps, names, oracle, remote, text,
};

/// One instruction of the machine. Iris and Ceres charge the same.
pub struct Opcode {
    /// Its byte.
    pub code: u8,
    /// Its name in assembly.
    pub name: &'static str,
    /// The word for it in the text of errors.
    pub(crate) word: &'static str,
    /// One letter per operand: `a` any place, `i` only a value that stands in the code.
    pub operands: &'static str,
    /// What it costs before anything else, in gas.
    pub gas: u32,
    /// Does it end its block?
    pub ends_block: bool,
    /// May a generalized account's authentication use it?
    pub in_authentication: bool,
    /// May it run inside a channel?
    pub off_chain: bool,
    /// The machine version that brought it: 5, 7 or 8.
    pub since: u16,
    /// Must any of the last three be looked at?
    pub(crate) guarded: bool,
    pub(crate) run: Run,
}

/// What an instruction does.
pub(crate) type Run = for<'h, 'a> fn(&'a mut Machine<'h>, &'a [Operand]) -> Step;

impl Opcode {
    /// Every instruction, by byte.
    pub fn all() -> &'static [Opcode] {
        TABLE
    }

    /// The instruction of this byte.
    pub fn of(code: u8) -> Option<&'static Opcode> {
        let index = TABLE.binary_search_by_key(&code, |opcode| opcode.code).ok()?;
        TABLE.get(index)
    }
}

macro_rules! row {
    ($code:literal, $name:literal, $word:literal, $operands:literal, $gas:literal, $flags:literal, $since:literal, $run:path) => {
        Opcode {
            code: $code,
            name: $name,
            word: $word,
            operands: $operands,
            gas: $gas,
            ends_block: $flags.as_bytes()[0] == b'E',
            in_authentication: $flags.as_bytes()[1] != b'A',
            off_chain: $flags.as_bytes()[2] != b'C',
            since: $since,
            guarded: $since > 5 || $flags.as_bytes()[1] == b'A' || $flags.as_bytes()[2] == b'C',
            run: $run,
        }
    };
}

// Flags: E ends a block, A not in authentication, C only on chain.
#[rustfmt::skip]
static TABLE: &[Opcode] = &[
    row!(0x00, "RETURN", "return", "", 10, "E--", 5, control::return_),
    row!(0x01, "RETURNR", "returnr", "a", 10, "E--", 5, control::returnr),
    row!(0x02, "CALL", "call", "a", 10, "E--", 5, control::call),
    row!(0x03, "CALL_R", "call_r", "aiaaa", 100, "EA-", 5, remote::call_r),
    row!(0x04, "CALL_T", "call_t", "a", 10, "E--", 5, control::call_t),
    row!(0x05, "CALL_GR", "call_gr", "aiaaaa", 100, "EA-", 5, remote::call_gr),
    row!(0x06, "JUMP", "jump", "i", 10, "E--", 5, control::jump),
    row!(0x07, "JUMPIF", "jumpif", "ai", 10, "E--", 5, control::jumpif),
    row!(0x08, "SWITCH_V2", "switch", "aii", 10, "E--", 5, control::switch_v2),
    row!(0x09, "SWITCH_V3", "switch", "aiii", 10, "E--", 5, control::switch_v3),
    row!(0x0a, "SWITCH_VN", "switch", "ai", 10, "E--", 5, control::switch_vn),
    row!(0x0b, "CALL_VALUE", "call_value", "a", 10, "---", 5, chain::call_value),
    row!(0x0c, "PUSH", "push", "a", 10, "---", 5, control::push),
    row!(0x0d, "DUPA", "dup", "", 10, "---", 5, control::dupa),
    row!(0x0e, "DUP", "dup", "a", 10, "---", 5, control::dup),
    row!(0x0f, "POP", "pop", "a", 10, "---", 5, control::pop),
    row!(0x10, "INCA", "inc", "", 10, "---", 5, integer::inca),
    row!(0x11, "INC", "inc", "a", 10, "---", 5, integer::inc),
    row!(0x12, "DECA", "dec", "", 10, "---", 5, integer::deca),
    row!(0x13, "DEC", "dec", "a", 10, "---", 5, integer::dec),
    row!(0x14, "ADD", "add", "aaa", 10, "---", 5, integer::add),
    row!(0x15, "SUB", "sub", "aaa", 10, "---", 5, integer::sub),
    row!(0x16, "MUL", "mul", "aaa", 10, "---", 5, integer::mul),
    row!(0x17, "DIV", "divide", "aaa", 10, "---", 5, integer::div),
    row!(0x18, "MOD", "modulo", "aaa", 10, "---", 5, integer::modulo),
    row!(0x19, "POW", "pow", "aaa", 10, "---", 5, integer::pow),
    row!(0x1a, "STORE", "store", "aa", 10, "---", 5, control::store),
    row!(0x1b, "SHA3", "sha3", "aa", 100, "---", 5, crypto::sha3),
    row!(0x1c, "SHA256", "sha256", "aa", 100, "---", 5, crypto::sha256),
    row!(0x1d, "BLAKE2B", "blake2b", "aa", 100, "---", 5, crypto::blake2b),
    row!(0x1e, "LT", "lt", "aaa", 10, "---", 5, logic::lt),
    row!(0x1f, "GT", "gt", "aaa", 10, "---", 5, logic::gt),
    row!(0x20, "EQ", "eq", "aaa", 10, "---", 5, logic::eq),
    row!(0x21, "ELT", "elt", "aaa", 10, "---", 5, logic::elt),
    row!(0x22, "EGT", "egt", "aaa", 10, "---", 5, logic::egt),
    row!(0x23, "NEQ", "neq", "aaa", 10, "---", 5, logic::neq),
    row!(0x24, "AND", "and_op", "aaa", 10, "---", 5, logic::and),
    row!(0x25, "OR", "or_op", "aaa", 10, "---", 5, logic::or),
    row!(0x26, "NOT", "not_op", "aa", 10, "---", 5, logic::not),
    row!(0x27, "TUPLE", "tuple", "ai", 10, "---", 5, data::tuple),
    row!(0x28, "ELEMENT", "element_op", "aaa", 10, "---", 5, data::element),
    row!(0x29, "SETELEMENT", "setelement", "aaaa", 10, "---", 5, data::setelement),
    row!(0x2a, "MAP_EMPTY", "map_empty", "a", 10, "---", 5, maps::map_empty),
    row!(0x2b, "MAP_LOOKUP", "map_lookup", "aaa", 10, "---", 5, maps::map_lookup),
    row!(0x2c, "MAP_LOOKUPD", "map_lookup", "aaaa", 10, "---", 5, maps::map_lookupd),
    row!(0x2d, "MAP_UPDATE", "map_update", "aaaa", 10, "---", 5, maps::map_update),
    row!(0x2e, "MAP_DELETE", "map_delete", "aaa", 10, "---", 5, maps::map_delete),
    row!(0x2f, "MAP_MEMBER", "map_member", "aaa", 10, "---", 5, maps::map_member),
    row!(0x30, "MAP_FROM_LIST", "map_from_list", "aa", 10, "---", 5, maps::map_from_list),
    row!(0x31, "MAP_SIZE", "map_size_", "aa", 10, "---", 5, maps::map_size),
    row!(0x32, "MAP_TO_LIST", "map_to_list", "aa", 10, "---", 5, maps::map_to_list),
    row!(0x33, "IS_NIL", "is_nil", "aa", 10, "---", 5, data::is_nil),
    row!(0x34, "CONS", "cons", "aaa", 10, "---", 5, data::cons),
    row!(0x35, "HD", "hd", "aa", 10, "---", 5, data::hd),
    row!(0x36, "TL", "tl", "aa", 10, "---", 5, data::tl),
    row!(0x37, "LENGTH", "length", "aa", 10, "---", 5, data::length),
    row!(0x38, "NIL", "nil", "a", 10, "---", 5, data::nil),
    row!(0x39, "APPEND", "append", "aaa", 10, "---", 5, data::append),
    row!(0x3a, "STR_JOIN", "str_join", "aaa", 10, "---", 5, text::str_join),
    row!(0x3b, "INT_TO_STR", "int_to_str", "aa", 100, "---", 5, text::int_to_str),
    row!(0x3c, "ADDR_TO_STR", "addr_to_str", "aa", 100, "---", 5, text::addr_to_str),
    row!(0x3d, "STR_REVERSE", "str_reverse", "aa", 100, "---", 5, text::str_reverse),
    row!(0x3e, "STR_LENGTH", "str_length", "aa", 10, "---", 5, text::str_length),
    row!(0x3f, "BYTES_TO_INT", "bytes_to_int", "aa", 10, "---", 5, bytes::bytes_to_int),
    row!(0x40, "BYTES_TO_STR", "bytes_to_str", "aa", 100, "---", 5, bytes::bytes_to_str),
    row!(0x41, "BYTES_CONCAT", "bytes_concat", "aaa", 10, "---", 5, bytes::bytes_concat),
    row!(0x42, "BYTES_SPLIT", "bytes_split", "aaa", 10, "---", 5, bytes::bytes_split),
    row!(0x43, "INT_TO_ADDR", "int_to_addr", "aa", 10, "---", 5, bytes::int_to_addr),
    row!(0x44, "VARIANT", "variant", "aaaa", 10, "---", 5, data::variant),
    row!(0x45, "VARIANT_TEST", "variant_test", "aaa", 10, "---", 5, data::variant_test),
    row!(0x46, "VARIANT_ELEMENT", "variant_element", "aaa", 10, "---", 5, data::variant_element),
    row!(0x47, "BITS_NONEA", "bits_none", "", 10, "---", 5, bits::bits_nonea),
    row!(0x48, "BITS_NONE", "bits_none", "a", 10, "---", 5, bits::bits_none),
    row!(0x49, "BITS_ALLA", "bits_all", "", 10, "---", 5, bits::bits_alla),
    row!(0x4a, "BITS_ALL", "bits_all", "a", 10, "---", 5, bits::bits_all),
    row!(0x4b, "BITS_ALL_N", "bits_all_n", "aa", 10, "---", 5, bits::bits_all_n),
    row!(0x4c, "BITS_SET", "bits_set", "aaa", 10, "---", 5, bits::bits_set),
    row!(0x4d, "BITS_CLEAR", "bits_clear", "aaa", 10, "---", 5, bits::bits_clear),
    row!(0x4e, "BITS_TEST", "bits_test", "aaa", 10, "---", 5, bits::bits_test),
    row!(0x4f, "BITS_SUM", "bits_sum", "aa", 10, "---", 5, bits::bits_sum),
    row!(0x50, "BITS_OR", "bits_or", "aaa", 10, "---", 5, bits::bits_or),
    row!(0x51, "BITS_AND", "bits_and", "aaa", 10, "---", 5, bits::bits_and),
    row!(0x52, "BITS_DIFF", "bits_diff", "aaa", 10, "---", 5, bits::bits_diff),
    row!(0x53, "BALANCE", "balance", "a", 10, "---", 5, chain::balance),
    row!(0x54, "ORIGIN", "origin", "a", 10, "---", 5, chain::origin),
    row!(0x55, "CALLER", "caller", "a", 10, "---", 5, chain::caller),
    row!(0x56, "BLOCKHASH", "blockhash", "aa", 1000, "---", 5, chain::blockhash),
    row!(0x57, "BENEFICIARY", "beneficiary", "a", 10, "---", 5, chain::beneficiary),
    row!(0x58, "TIMESTAMP", "timestamp", "a", 10, "---", 5, chain::timestamp),
    row!(0x59, "GENERATION", "generation", "a", 10, "---", 5, chain::generation),
    row!(0x5a, "MICROBLOCK", "microblock", "a", 10, "---", 5, chain::microblock),
    row!(0x5b, "DIFFICULTY", "difficulty", "a", 10, "---", 5, chain::difficulty),
    row!(0x5c, "GASLIMIT", "gaslimit", "a", 10, "---", 5, chain::gaslimit),
    row!(0x5d, "GAS", "gas", "a", 10, "---", 5, chain::gas),
    row!(0x5e, "ADDRESS", "address", "a", 10, "---", 5, chain::address),
    row!(0x5f, "GASPRICE", "gasprice", "a", 10, "---", 5, chain::gasprice),
    row!(0x60, "LOG0", "log", "a", 1000, "---", 5, chain::log),
    row!(0x61, "LOG1", "log", "aa", 1100, "---", 5, chain::log),
    row!(0x62, "LOG2", "log", "aaa", 1200, "---", 5, chain::log),
    row!(0x63, "LOG3", "log", "aaaa", 1300, "---", 5, chain::log),
    row!(0x64, "LOG4", "log", "aaaaa", 1400, "---", 5, chain::log),
    row!(0x65, "SPEND", "spend", "aa", 5000, "-A-", 5, chain::spend),
    row!(0x66, "ORACLE_REGISTER", "oracle_register", "aaaaaaa", 10000, "-AC", 5, oracle::change),
    row!(0x67, "ORACLE_QUERY", "oracle_query", "aaaaaaaa", 10000, "-AC", 5, oracle::change),
    row!(0x68, "ORACLE_RESPOND", "oracle_respond", "aaaaaa", 10000, "-AC", 5, oracle::change),
    row!(0x69, "ORACLE_EXTEND", "oracle_extend", "aaa", 10000, "-AC", 5, oracle::change),
    row!(0x6a, "ORACLE_GET_ANSWER", "oracle_get_answer", "aaaaa", 2000, "-A-", 5, oracle::oracle_get_answer),
    row!(0x6b, "ORACLE_GET_QUESTION", "oracle_get_question", "aaaaa", 2000, "-A-", 5, oracle::oracle_get_question),
    row!(0x6c, "ORACLE_QUERY_FEE", "oracle_query_fee", "aa", 2000, "-A-", 5, oracle::oracle_query_fee),
    row!(0x6d, "AENS_RESOLVE", "aens_resolve", "aaaa", 2000, "-A-", 5, names::aens_resolve),
    row!(0x6e, "AENS_PRECLAIM", "aens_preclaim", "aaa", 10000, "-AC", 5, names::change),
    row!(0x6f, "AENS_CLAIM", "aens_claim", "aaaaa", 10000, "-AC", 5, names::change),
    row!(0x70, "AENS_UPDATE", "aens_update", "aaaaaa", 10000, "-AC", 7, names::change),
    row!(0x71, "AENS_TRANSFER", "aens_transfer", "aaaa", 10000, "-AC", 5, names::change),
    row!(0x72, "AENS_REVOKE", "aens_revoke", "aaa", 10000, "-AC", 5, names::change),
    row!(0x73, "BALANCE_OTHER", "balance_other", "aa", 2000, "---", 5, chain::balance_other),
    row!(0x74, "VERIFY_SIG", "verify_sig", "aaaa", 1300, "---", 5, crypto::verify_sig),
    row!(0x75, "VERIFY_SIG_SECP256K1", "verify_sig_secp256k1", "aaaa", 1300, "---", 5, crypto::verify_sig_secp256k1),
    row!(0x76, "CONTRACT_TO_ADDRESS", "contract_to_address", "aa", 10, "---", 5, bytes::contract_to_address),
    row!(0x77, "AUTH_TX_HASH", "auth_tx_hash", "a", 10, "---", 5, chain::auth_tx_hash),
    row!(0x78, "ORACLE_CHECK", "oracle_check", "aaaa", 100, "-A-", 5, oracle::oracle_check),
    row!(0x79, "ORACLE_CHECK_QUERY", "oracle_check_query", "aaaaa", 100, "-A-", 5, oracle::oracle_check_query),
    row!(0x7a, "IS_ORACLE", "is_oracle", "aa", 100, "-A-", 5, chain::is_oracle),
    row!(0x7b, "IS_CONTRACT", "is_contract", "aa", 100, "-A-", 5, chain::is_contract),
    row!(0x7c, "IS_PAYABLE", "is_payable", "aa", 100, "-A-", 5, chain::is_payable),
    row!(0x7d, "CREATOR", "contract_creator", "a", 10, "---", 5, chain::creator),
    row!(0x7e, "ECVERIFY_SECP256K1", "ecverify_secp256k1", "aaaa", 1300, "---", 5, crypto::ecverify_secp256k1),
    row!(0x7f, "ECRECOVER_SECP256K1", "ecrecover_secp256k1", "aaa", 1300, "---", 5, crypto::ecrecover_secp256k1),
    row!(0x80, "ADDRESS_TO_CONTRACT", "address_to_contract", "aa", 10, "---", 5, bytes::address_to_contract),
    row!(0x81, "BLS12_381_G1_NEG", "bls12_381_g1_neg", "aa", 100, "---", 7, bls::g1_neg),
    row!(0x82, "BLS12_381_G1_NORM", "bls12_381_g1_norm", "aa", 100, "---", 7, bls::g1_norm),
    row!(0x83, "BLS12_381_G1_VALID", "bls12_381_g1_valid", "aa", 2000, "---", 7, bls::g1_valid),
    row!(0x84, "BLS12_381_G1_IS_ZERO", "bls12_381_g1_is_zero", "aa", 30, "---", 7, bls::g1_is_zero),
    row!(0x85, "BLS12_381_G1_ADD", "bls12_381_g1_add", "aaa", 100, "---", 7, bls::g1_add),
    row!(0x86, "BLS12_381_G1_MUL", "bls12_381_g1_mul", "aaa", 1000, "---", 7, bls::g1_mul),
    row!(0x87, "BLS12_381_G2_NEG", "bls12_381_g2_neg", "aa", 100, "---", 7, bls::g2_neg),
    row!(0x88, "BLS12_381_G2_NORM", "bls12_381_g2_norm", "aa", 100, "---", 7, bls::g2_norm),
    row!(0x89, "BLS12_381_G2_VALID", "bls12_381_g2_valid", "aa", 2000, "---", 7, bls::g2_valid),
    row!(0x8a, "BLS12_381_G2_IS_ZERO", "bls12_381_g2_is_zero", "aa", 30, "---", 7, bls::g2_is_zero),
    row!(0x8b, "BLS12_381_G2_ADD", "bls12_381_g2_add", "aaa", 100, "---", 7, bls::g2_add),
    row!(0x8c, "BLS12_381_G2_MUL", "bls12_381_g2_mul", "aaa", 1000, "---", 7, bls::g2_mul),
    row!(0x8d, "BLS12_381_GT_INV", "bls12_381_gt_inv", "aa", 100, "---", 7, bls::gt_inv),
    row!(0x8e, "BLS12_381_GT_ADD", "bls12_381_gt_add", "aaa", 100, "---", 7, bls::gt_add),
    row!(0x8f, "BLS12_381_GT_MUL", "bls12_381_gt_mul", "aaa", 100, "---", 7, bls::gt_mul),
    row!(0x90, "BLS12_381_GT_POW", "bls12_381_gt_pow", "aaa", 2000, "---", 7, bls::gt_pow),
    row!(0x91, "BLS12_381_GT_IS_ONE", "bls12_381_gt_is_one", "aa", 30, "---", 7, bls::gt_is_one),
    row!(0x92, "BLS12_381_PAIRING", "bls12_381_pairing", "aaa", 12000, "---", 7, bls::pairing),
    row!(0x93, "BLS12_381_MILLER_LOOP", "bls12_381_miller_loop", "aaa", 5000, "---", 7, bls::miller_loop_op),
    row!(0x94, "BLS12_381_FINAL_EXP", "bls12_381_final_exp", "aa", 7000, "---", 7, bls::final_exp),
    row!(0x95, "BLS12_381_INT_TO_FR", "bls12_381_int_to_fr", "aa", 30, "---", 7, bls::int_to_fr),
    row!(0x96, "BLS12_381_INT_TO_FP", "bls12_381_int_to_fp", "aa", 30, "---", 7, bls::int_to_fp),
    row!(0x97, "BLS12_381_FR_TO_INT", "bls12_381_fr_to_int", "aa", 30, "---", 7, bls::fr_to_int),
    row!(0x98, "BLS12_381_FP_TO_INT", "bls12_381_fp_to_int", "aa", 30, "---", 7, bls::fp_to_int),
    row!(0x99, "AENS_LOOKUP", "aens_lookup", "aa", 2000, "-A-", 7, names::aens_lookup),
    row!(0x9a, "ORACLE_EXPIRY", "oracle_expiry", "aa", 2000, "-A-", 7, oracle::oracle_expiry),
    row!(0x9b, "AUTH_TX", "auth_tx", "a", 100, "---", 7, chain::auth_tx),
    row!(0x9c, "STR_TO_LIST", "str_to_list", "aa", 100, "---", 5, text::str_to_list),
    row!(0x9d, "STR_FROM_LIST", "str_from_list", "aa", 100, "---", 5, text::str_from_list),
    row!(0x9e, "STR_TO_UPPER", "str_to_upper", "aa", 100, "---", 5, text::str_to_upper),
    row!(0x9f, "STR_TO_LOWER", "str_to_lower", "aa", 100, "---", 5, text::str_to_lower),
    row!(0xa0, "CHAR_TO_INT", "char_to_int", "aa", 10, "---", 5, text::char_to_int),
    row!(0xa1, "CHAR_FROM_INT", "char_from_int", "aa", 10, "---", 5, text::char_from_int),
    row!(0xa2, "CALL_PGR", "call_pgr", "aiaaaaa", 100, "EA-", 7, remote::call_pgr),
    row!(0xa3, "CREATE", "create", "aaa", 10000, "EA-", 7, remote::create),
    row!(0xa4, "CLONE", "clone", "aaaa", 5000, "EA-", 7, remote::clone),
    row!(0xa5, "CLONE_G", "clone_g", "aaaaa", 5000, "EA-", 7, remote::clone_g),
    row!(0xa6, "BYTECODE_HASH", "bytecode_hash", "aa", 100, "---", 7, remote::bytecode_hash),
    row!(0xa7, "FEE", "fee", "a", 10, "---", 7, chain::fee),
    row!(0xa8, "ADDRESS_TO_BYTES", "addr_to_bytes", "aa", 10, "---", 8, bytes::address_to_bytes),
    row!(0xa9, "POSEIDON", "poseidon", "aaa", 6000, "---", 8, crypto::poseidon),
    row!(0xaa, "MULMOD", "mulmod", "aaaa", 10, "---", 8, integer::mulmod),
    row!(0xab, "BAND", "bin_and", "aaa", 10, "---", 8, integer::band),
    row!(0xac, "BOR", "bin_or", "aaa", 10, "---", 8, integer::bor),
    row!(0xad, "BXOR", "bin_xor", "aaa", 10, "---", 8, integer::bxor),
    row!(0xae, "BNOT", "bin_not", "aa", 10, "---", 8, integer::bnot),
    row!(0xaf, "BSL", "bin_sl", "aaa", 10, "---", 8, integer::bsl),
    row!(0xb0, "BSR", "bin_sr", "aaa", 10, "---", 8, integer::bsr),
    row!(0xb1, "BYTES_SPLIT_ANY", "bytes_split_any", "aaa", 10, "---", 8, bytes::bytes_split_any),
    row!(0xb2, "BYTES_SIZE", "bytes_size", "aa", 10, "---", 8, bytes::bytes_size),
    row!(0xb3, "BYTES_TO_FIXED_SIZE", "bytes_to_fixed_size", "aaa", 10, "---", 8, bytes::bytes_to_fixed_size),
    row!(0xb4, "INT_TO_BYTES", "int_to_bytes", "aaa", 10, "---", 8, bytes::int_to_bytes),
    row!(0xb5, "STR_TO_BYTES", "str_to_bytes", "aa", 10, "---", 8, text::str_to_bytes),
    row!(0xb6, "NETWORK_ID", "network_id", "a", 10, "---", 8, chain::network_id),
    row!(0xf0, "DBG_LOC", "dbg_loc", "aa", 0, "---", 5, control::debug),
    row!(0xf1, "DBG_DEF", "dbg_def", "aa", 0, "---", 5, control::debug),
    row!(0xf2, "DBG_UNDEF", "dbg_undef", "aa", 0, "---", 5, control::debug),
    row!(0xf3, "DBG_CONTRACT", "dbg_contract", "a", 0, "---", 5, control::debug),
    row!(0xfa, "DEACTIVATE", "deactivate", "", 10, "---", 5, chain::deactivate),
    row!(0xfb, "ABORT", "abort", "a", 10, "E--", 5, control::abort),
    row!(0xfc, "EXIT", "exit", "a", 10, "E--", 5, control::exit),
    row!(0xfd, "NOP", "nop", "", 1, "---", 5, control::nop),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_instruction_is_found() {
        assert!(TABLE.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert!(
            TABLE.iter().all(|opcode| Opcode::of(opcode.code).is_some_and(|found| found.name == opcode.name))
        );
        assert!(TABLE.iter().all(|opcode| opcode.operands.len() <= 8));
    }
}
