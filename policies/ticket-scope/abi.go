package main

import (
	"bytes"
	"encoding/json"
	"unsafe"
)

// Sluice's policy ABI, version 1. Nothing is freed: each call has an instance of its own.

// held keeps what the host points to alive.
var held [][]byte

//go:wasmexport guard_abi_version
func abiVersion() int32 { return 1 }

//go:wasmexport guard_alloc
func alloc(size int32) unsafe.Pointer {
	room := make([]byte, max(1, int(uint32(size))))
	held = append(held, room)
	return unsafe.Pointer(unsafe.SliceData(room))
}

//go:wasmexport guard_validate_settings
func validateSettings(at unsafe.Pointer, size int32) int64 {
	var given settings
	decoder := json.NewDecoder(bytes.NewReader(unsafe.Slice((*byte)(at), uint32(size))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&given); err != nil {
		return give(validity{Message: err.Error()})
	}
	return give(validate(given))
}

//go:wasmexport guard_evaluate
func evaluateInput(at unsafe.Pointer, size int32) int64 {
	var asked input
	if err := json.Unmarshal(unsafe.Slice((*byte)(at), uint32(size)), &asked); err != nil {
		panic(err) // a trap; the policy's onError decides
	}
	return give(evaluate(asked))
}

// give leaves an answer in memory: its place in the upper, its size in the lower 32 bits.
func give(answer any) int64 {
	text, err := json.Marshal(answer)
	if err != nil {
		panic(err)
	}
	held = append(held, text)
	return int64(uintptr(unsafe.Pointer(unsafe.SliceData(text))))<<32 | int64(len(text))
}

func main() {}
