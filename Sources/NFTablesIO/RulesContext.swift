// SPDX-License-Identifier: Apache-2.0
//
// One libnftables context: takes rules as text and hands them to the kernel. Tables made with
// `flags owner` belong to its netlink socket, so they go when it or the process goes, however.

internal import CNFTables

/// Why the kernel or the library did not take rules.
public struct RulesError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The first line of what libnftables says.
    public let description: String

    /// Makes an error from its text.
    public init(_ description: String) {
        self.description = description
    }
}

/// Runs rules; belongs to the thread that made it.
public struct RulesContext: ~Copyable {
    private let handle: OpaquePointer

    /// Opens the context's netlink socket in the calling thread's network namespace (nft_ctx_new).
    public init() throws(RulesError) {
        handle = try SmallDescriptors.lent { number throws(RulesError) in
            guard let handle = nft_ctx_new(UInt32(NFT_CTX_DEFAULT)) else {
                throw RulesError("libnftables: no memory")
            }
            guard tandem_is_nftables_socket(number) else {
                nft_ctx_free(handle)
                return nil
            }
            // The library leaves its socket to children, which would keep the tables alive.
            _ = tandem_close_on_exec(number)
            return handle
        }
        nft_ctx_buffer_error(handle)
        nft_ctx_buffer_output(handle)
    }

    deinit {
        nft_ctx_free(handle)
        SmallDescriptors.reserve()
    }

    /// Keeps descriptors for contexts that are made when thousands of connections are open; to be
    /// called before there are any.
    public static func reserveDescriptors() {
        SmallDescriptors.reserve()
    }

    /// Runs commands as one transaction: all of them or none (nft_run_cmd_from_buffer).
    ///
    /// - Returns: what the commands print, for `list`.
    @discardableResult
    public borrowing func run(_ commands: String) throws(RulesError) -> String {
        guard nft_run_cmd_from_buffer(handle, commands) == 0 else {
            let text = nft_ctx_get_error_buffer(handle).map { String(cString: $0) } ?? ""
            let line = text.prefix { $0 != "\n" }
            throw RulesError(line.isEmpty ? "libnftables gave no reason" : String(line))
        }
        return nft_ctx_get_output_buffer(handle).map { String(cString: $0) } ?? ""
    }
}
