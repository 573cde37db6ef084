//! One datagram of a notify socket, with the process that the kernel names as its sender.
//!
//! It calls libc directly: a sender in another PID namespace has pid 0, which the safe interface treats as
//! impossible.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// What was sent, and by whom.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Datagram {
    /// Its bytes; none when there were too many.
    pub(super) bytes: Vec<u8>,
    /// The sender's process id; 0 when it is not visible here.
    pub(super) sender: i32,
}

/// The longest datagram that is read.
const LONGEST: usize = 4096;

/// Reads a datagram without waiting. Descriptors that came with it are closed, which is what
/// `systemd-notify` waits for.
///
/// # Errors
///
/// `WouldBlock` when there is none.
#[expect(unsafe_code, reason = "credentials and descriptors come as raw memory")]
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<Datagram> {
    let mut bytes = vec![0_u8; LONGEST];
    // Room for the credentials and some descriptors, aligned as a header must be. What does not fit is
    // closed by the kernel.
    let mut control = [0_u64; 32];
    let mut slice = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: it is plain data, of which zeroes are a valid value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = mem::size_of_val(&control) as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header names two buffers with their lengths, which nothing else uses meanwhile.
    let read = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
    let whole = header.msg_flags & libc::MSG_TRUNC == 0;
    bytes.truncate(if whole { read } else { 0 });
    let mut sender = 0;
    // SAFETY: the kernel has filled in the header and the control buffer it names.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    while !at.is_null() {
        // SAFETY: it is not null, so it points at a message header within the control buffer, followed
        // by as much data as its length says.
        unsafe {
            let data = libc::CMSG_DATA(at);
            match ((*at).cmsg_level, (*at).cmsg_type) {
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    sender = ptr::read_unaligned(data.cast::<libc::ucred>()).pid;
                }
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    let length = (*at).cmsg_len as usize - libc::CMSG_LEN(0) as usize;
                    for index in 0..length / mem::size_of::<RawFd>() {
                        let number = ptr::read_unaligned(data.cast::<RawFd>().add(index));
                        // It was made for this process by the call above, and has no other owner.
                        drop(OwnedFd::from_raw_fd(number));
                    }
                }
                _ => {}
            }
            at = libc::CMSG_NXTHDR(&raw const header, at);
        }
    }
    Ok(Datagram { bytes, sender })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};
    use std::time::Duration;

    use rustix::io::IoSlice;
    use rustix::net::sockopt::set_socket_passcred;
    use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

    use super::*;

    fn pair() -> (UnixDatagram, UnixDatagram) {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        set_socket_passcred(&ours, true).unwrap();
        (ours, theirs)
    }

    #[test]
    fn the_sender_is_named_by_the_kernel() {
        let (ours, theirs) = pair();
        theirs.send(b"WATCHDOG=1").unwrap();
        let datagram = receive(ours.as_fd()).unwrap();
        assert_eq!(datagram.bytes, b"WATCHDOG=1");
        assert_eq!(datagram.sender, i32::try_from(std::process::id()).unwrap());
        let nothing = receive(ours.as_fd()).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn one_that_is_too_long_has_no_bytes() {
        let (ours, theirs) = pair();
        for (length, read) in [(LONGEST, LONGEST), (LONGEST + 1, 0), (0, 0)] {
            theirs.send(&vec![b'x'; length]).unwrap();
            assert_eq!(receive(ours.as_fd()).unwrap().bytes.len(), read, "{length}");
        }
    }

    #[test]
    fn descriptors_that_come_with_it_are_closed() {
        let (ours, theirs) = pair();
        for count in [1, 4, 60] {
            let (mut end, other) = UnixStream::pair().unwrap();
            let descriptors = vec![other.as_fd(); count];
            let mut space = vec![mem::MaybeUninit::uninit(); 1024];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(&descriptors)));
            let text = [IoSlice::new(b"BARRIER=1")];
            sendmsg(&theirs, &text, &mut ancillary, SendFlags::empty()).unwrap();
            drop(other);
            assert_eq!(receive(ours.as_fd()).unwrap().bytes, b"BARRIER=1");
            // A test beside this one may be starting a process, which holds our descriptors until its exec.
            end.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            assert_eq!(
                end.read(&mut [0]).unwrap(),
                0,
                "{count}: a process holds it open"
            );
        }
    }
}
