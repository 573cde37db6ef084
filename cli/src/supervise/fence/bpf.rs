//! What the kernel is given: a map of one number, and instructions for each packet that leaves a cgroup.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};

use crate::supervise::cgroup::Cgroup;

/// Commands and constants of `bpf(2)`.
const MAP_CREATE: libc::c_int = 0;
const PROG_LOAD: libc::c_int = 5;
const PROG_ATTACH: libc::c_int = 8;
const MAP_TYPE_ARRAY: u32 = 2;
const PROG_TYPE_CGROUP_SKB: u32 = 8;
const CGROUP_INET_EGRESS: u32 = 1;
const MAY_BE_MAPPED: u32 = 1 << 10;
const BESIDE_OTHERS: u32 = 1 << 1;
const KTIME_GET_BOOT_NS: i32 = 125;

/// The first fields of the kernel's `union bpf_attr`, for one command each.
#[repr(C)]
#[derive(Default)]
struct NewMap {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
}

#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach: u32,
}

#[repr(C)]
#[derive(Default)]
struct Attach {
    target: u32,
    program: u32,
    attach: u32,
    flags: u32,
}

/// One instruction, as in the kernel's `struct bpf_insn`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    immediate: i32,
}

const fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        // Two bit fields, which begin at the other end where bytes do.
        registers: if cfg!(target_endian = "little") {
            from << 4 | to
        } else {
            to << 4 | from
        },
        offset,
        immediate,
    }
}

/// A map of one number, 0, that processes may map into their memory.
pub(super) fn new_map() -> io::Result<OwnedFd> {
    let map = NewMap {
        kind: MAP_TYPE_ARRAY,
        key_size: 4,
        value_size: 8,
        entries: 1,
        flags: MAY_BE_MAPPED,
    };
    descriptor(bpf(MAP_CREATE, &map)?)
}

/// Drops every packet of the cgroup once the moment in the map has passed. It stays when this process ends.
///
/// # Errors
///
/// What may not be done, and why.
pub(super) fn attach(map: BorrowedFd<'_>, cgroup: &Cgroup) -> Result<(), String> {
    let program = load(map).map_err(|error| format!("no BPF program can be loaded: {error}"))?;
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let group = open(cgroup.path(), flags, Mode::empty());
    let attached = group.map_err(io::Error::from).and_then(|group| {
        bpf(
            PROG_ATTACH,
            &Attach {
                target: group.as_raw_fd().cast_unsigned(),
                program: program.as_raw_fd().cast_unsigned(),
                attach: CGROUP_INET_EGRESS,
                flags: BESIDE_OTHERS,
            },
        )
    });
    attached
        .map(drop)
        .map_err(|error| format!("no BPF program can be attached to the cgroup: {error}"))
}

fn load(map: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let program = [
        // r6 = the address of the number, of which the second instruction is a part
        instruction(0x18, 6, 2, 0, map.as_raw_fd()),
        instruction(0, 0, 0, 0, 0),
        // r0 = boot time
        instruction(0x85, 0, 0, 0, KTIME_GET_BOOT_NS),
        // r1 = the number; r2 = r0
        instruction(0x79, 1, 6, 0, 0),
        instruction(0xbf, 2, 0, 0, 0),
        // 0 drops the packet
        instruction(0xb7, 0, 0, 0, 0),
        // if r2 >= r1 then return
        instruction(0x3d, 2, 1, 1, 0),
        // 1 lets it out
        instruction(0xb7, 0, 0, 0, 1),
        instruction(0x95, 0, 0, 0, 0),
    ];
    let mut name = [0; 16];
    name[..9].copy_from_slice(b"incumbent");
    let load = Load {
        kind: PROG_TYPE_CGROUP_SKB,
        count: u32::try_from(program.len()).unwrap_or(0),
        instructions: program.as_ptr().addr() as u64,
        // A helper for GPL-compatible programs only would need another; boot time is for all.
        license: c"Apache-2.0".as_ptr().addr() as u64,
        name,
        attach: CGROUP_INET_EGRESS,
        ..Load::default()
    };
    descriptor(bpf(PROG_LOAD, &load)?)
}

#[expect(unsafe_code, reason = "the library wraps no bpf(2)")]
fn bpf<T>(command: libc::c_int, attributes: &T) -> io::Result<libc::c_long> {
    // SAFETY: the kernel reads as many bytes as there are, and what they point to lives as long as the call.
    match unsafe { libc::syscall(libc::SYS_bpf, command, attributes, size_of::<T>()) } {
        -1 => Err(io::Error::last_os_error()),
        new => Ok(new),
    }
}

#[expect(unsafe_code, reason = "a new descriptor has only a number")]
fn descriptor(number: libc::c_long) -> io::Result<OwnedFd> {
    let number = i32::try_from(number).map_err(io::Error::other)?;
    // SAFETY: the kernel has just opened it for this process, closed on exec, and nothing else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
