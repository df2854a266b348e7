// SPDX-License-Identifier: Apache-2.0
//
// The client's side of one HTTP/2 connection, one request at a time, over nghttp2. It owns
// nghttp2's session and no socket: bytes go in and out.

internal import CNGHTTP2

/// Why a connection cannot go on.
public enum HTTP2Fault: Error, Hashable, Sendable {
    /// The peer broke the protocol.
    case protocolViolation
    /// The peer makes work for its own sake: endless settings, pings, header blocks.
    case flooded
    /// There is no memory.
    case outOfMemory
}

/// Speaks HTTP/2 to a server from the connection preface on (RFC 9113 §3.3: prior knowledge).
///
/// Use: `begin`, then send what `takeOutput` gives; for all that is received `receive`, then
/// `takeOutput` again and a look at `answer`. After a fault the connection is to be closed.
public final class HTTP2ClientSession {
    /// Acknowledgements that may wait to be sent before the peer is taken for a flood.
    static let pendingAcknowledgementsMax = 32
    /// Entries of one SETTINGS frame.
    static let settingsEntriesMax = 32
    /// Bytes of a header block that we ask the peer to stay below.
    static let headerListByteCountMax: UInt32 = 8_192

    private let session: OpaquePointer
    private var state = SessionState()

    /// Makes a session and queues the preface and our settings.
    public init() throws(HTTP2Fault) {
        var made: OpaquePointer?
        var callbacks: OpaquePointer?
        var options: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0, nghttp2_option_new(&options) == 0
        else {
            nghttp2_session_callbacks_del(callbacks)
            throw .outOfMemory
        }
        defer {
            nghttp2_session_callbacks_del(callbacks)
            nghttp2_option_del(options)
        }
        SessionState.register(callbacks)
        nghttp2_option_set_max_outbound_ack(options, Self.pendingAcknowledgementsMax)
        nghttp2_option_set_max_settings(options, Self.settingsEntriesMax)
        nghttp2_option_set_no_closed_streams(options, 1)
        nghttp2_option_set_max_reserved_remote_streams(options, 0)
        guard nghttp2_session_client_new2(&made, callbacks, nil, options) == 0, let made else {
            throw .outOfMemory
        }
        session = made
        let settings = [
            nghttp2_settings_entry(
                settings_id: CInt(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
            nghttp2_settings_entry(
                settings_id: CInt(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: Self.headerListByteCountMax),
        ]
        let flags = UInt8(NGHTTP2_FLAG_NONE.rawValue)
        guard nghttp2_submit_settings(session, flags, settings, settings.count) == 0 else {
            throw .outOfMemory
        }
    }

    deinit {
        nghttp2_session_del(session)
    }

    /// What came back for the latest request.
    public var answer: HTTP2Answer { state.answer }

    /// True while the peer takes further requests on this connection.
    public var takesRequests: Bool {
        nghttp2_session_check_request_allowed(session) != 0
            && nghttp2_session_want_read(session) != 0
    }

    /// Queues a request; the one before must be closed.
    public func begin(_ request: HTTP2Request) throws(HTTP2Fault) {
        precondition(
            state.streamID == nil || state.answer.isClosed, "a request is still under way")
        state.answer = HTTP2Answer()
        state.unsentBody = request.body
        // One array owns all names and values while nghttp2 copies them.
        let bytes = request.fields.flatMap { Array($0.name.utf8) + Array($0.value.utf8) }
        let identifier = bytes.withUnsafeBufferPointer { buffer in
            submit(request, storage: UnsafeMutablePointer(mutating: buffer.baseAddress))
        }
        guard identifier > 0 else { throw Self.fault(Int(identifier)) }
        state.streamID = identifier
    }

    private func submit(_ request: HTTP2Request, storage: UnsafeMutablePointer<UInt8>?) -> Int32 {
        var offset = 0
        let fields = request.fields.map { field in
            defer { offset += field.name.utf8.count + field.value.utf8.count }
            return nghttp2_nv(
                name: storage.map { $0 + offset },
                value: storage.map { $0 + offset + field.name.utf8.count },
                namelen: field.name.utf8.count, valuelen: field.value.utf8.count,
                flags: UInt8(NGHTTP2_NV_FLAG_NONE.rawValue))
        }
        var provider = SessionState.bodyProvider
        return nghttp2_submit_request(session, nil, fields, fields.count, &provider, nil)
    }

    /// Takes bytes of the peer in.
    public func receive(_ bytes: [UInt8]) throws(HTTP2Fault) {
        let result = withState {
            bytes.withUnsafeBufferPointer {
                nghttp2_session_mem_recv(session, $0.baseAddress, $0.count)
            }
        }
        guard result >= 0 else { throw Self.fault(result) }
    }

    /// All bytes that are to be sent now.
    ///
    /// - Throws: when the session ended for a fault of the peer; nothing more is worth sending.
    public func takeOutput() throws(HTTP2Fault) -> [UInt8] {
        var output: [UInt8] = []
        while true {
            var chunk: UnsafePointer<UInt8>?
            let count = withState { nghttp2_session_mem_send(session, &chunk) }
            guard count >= 0 else { throw Self.fault(count) }
            guard count > 0, let chunk else { break }
            output.append(contentsOf: UnsafeBufferPointer(start: chunk, count: count))
        }
        // nghttp2 answers a violation with GOAWAY and then wants nothing any more.
        if state.streamID != nil, !state.answer.isClosed, nghttp2_session_want_read(session) == 0 {
            throw .protocolViolation
        }
        return output
    }

    /// Lets callbacks reach the state, for the time of one call into nghttp2 and no longer.
    private func withState(_ body: () -> Int) -> Int {
        withUnsafeMutablePointer(to: &state) { pointer in
            nghttp2_session_set_user_data(session, pointer)
            defer { nghttp2_session_set_user_data(session, nil) }
            return body()
        }
    }

    private static func fault(_ code: Int) -> HTTP2Fault {
        switch code {
        case Int(NGHTTP2_ERR_NOMEM.rawValue): .outOfMemory
        case Int(NGHTTP2_ERR_FLOODED.rawValue),
            Int(NGHTTP2_ERR_TOO_MANY_CONTINUATIONS.rawValue):
            .flooded
        default: .protocolViolation
        }
    }
}
