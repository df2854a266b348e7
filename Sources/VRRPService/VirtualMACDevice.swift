// SPDX-License-Identifier: Apache-2.0
//
// stub
internal import LinuxIO

final class VirtualMACDevice {
    init(_ point: AttachmentPoint) throws(Errno) {}
    func switchOn() {}
    func switchOff() {}
    func remove() {}
}
