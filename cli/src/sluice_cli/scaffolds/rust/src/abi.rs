//! Sluice's policy ABI, version 1. Nothing is freed: each call has an instance of its own.

use crate::{evaluate, validate, Input};

#[no_mangle]
pub extern "C" fn guard_abi_version() -> i32 {
    1
}

#[no_mangle]
pub extern "C" fn guard_alloc(size: usize) -> *mut u8 {
    Box::leak(vec![0u8; size].into_boxed_slice()).as_mut_ptr()
}

/// # Safety
/// `at` and `size` are of a JSON text in memory that `guard_alloc` gave.
#[no_mangle]
pub unsafe extern "C" fn guard_validate_settings(at: *const u8, size: usize) -> u64 {
    give(&validate(serde_json::from_slice(read(at, size))))
}

/// # Safety
/// `at` and `size` are of a JSON text in memory that `guard_alloc` gave.
#[no_mangle]
pub unsafe extern "C" fn guard_evaluate(at: *const u8, size: usize) -> u64 {
    // A panic is a trap, and the policy's `onError` decides.
    let input: Input = serde_json::from_slice(read(at, size)).expect("an input");
    give(&evaluate(input))
}

unsafe fn read<'a>(at: *const u8, size: usize) -> &'a [u8] {
    std::slice::from_raw_parts(at, size)
}

/// Place in the upper, size in the lower 32 bits.
fn give(answer: &impl serde::Serialize) -> u64 {
    let json = Box::leak(serde_json::to_vec(answer).expect("JSON").into_boxed_slice());
    (json.as_ptr() as u64) << 32 | json.len() as u64
}
