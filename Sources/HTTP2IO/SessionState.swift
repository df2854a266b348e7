// SPDX-License-Identifier: Apache-2.0
//
// What nghttp2's callbacks write to, and the callbacks. nghttp2 holds the pointer to it only during
// a call that the session makes.

internal import CNGHTTP2

/// The request under way.
struct SessionState {
    var streamID: Int32?
    var unsentBody: [UInt8] = []
    var answer = HTTP2Answer()

    static func register(_ callbacks: OpaquePointer?) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, frame, name, nameByteCount, value, valueByteCount, _, user in
            guard let frame, let state = SessionState.pointer(user),
                frame.pointee.hd.stream_id == state.pointee.streamID
            else { return 0 }
            state.pointee.answer.addField(
                name: UnsafeBufferPointer(start: name, count: nameByteCount),
                value: UnsafeBufferPointer(start: value, count: valueByteCount))
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) {
            _, _, stream, bytes, byteCount, user in
            guard let state = SessionState.pointer(user), stream == state.pointee.streamID else {
                return 0
            }
            state.pointee.answer.addBody(UnsafeBufferPointer(start: bytes, count: byteCount))
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) {
            _, stream, code, user in
            guard let state = SessionState.pointer(user), stream == state.pointee.streamID else {
                return 0
            }
            state.pointee.answer.isClosed = true
            state.pointee.answer.isComplete = code == NGHTTP2_NO_ERROR.rawValue
            state.pointee.answer.isUnprocessed = code == NGHTTP2_REFUSED_STREAM.rawValue
            return 0
        }
    }

    /// Hands nghttp2 the body of the request under way.
    static var bodyProvider: nghttp2_data_provider {
        nghttp2_data_provider(
            source: nghttp2_data_source(),
            read_callback: { _, _, buffer, capacity, flags, _, user in
                guard let state = SessionState.pointer(user), let buffer, let flags else {
                    return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
                }
                let count = min(capacity, state.pointee.unsentBody.count)
                state.pointee.unsentBody.withUnsafeBufferPointer {
                    for index in 0..<count { buffer[index] = $0[index] }
                }
                state.pointee.unsentBody.removeFirst(count)
                if state.pointee.unsentBody.isEmpty {
                    flags.pointee |= UInt32(NGHTTP2_DATA_FLAG_EOF.rawValue)
                }
                return count
            })
    }

    private static func pointer(
        _ user: UnsafeMutableRawPointer?
    ) -> UnsafeMutablePointer<SessionState>? {
        user?.assumingMemoryBound(to: SessionState.self)
    }
}
