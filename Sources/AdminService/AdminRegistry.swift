// SPDX-License-Identifier: Apache-2.0
//
// What the node answers its operator: commands by words, pages by path. No sockets.

/// The commands and pages of one node; belongs to the control thread.
public final class AdminRegistry {
    /// Runs a command with the words that follow its name.
    public typealias CommandBody = (_ arguments: [String]) -> String

    /// A page as it is served now.
    public struct Page {
        /// Value of the Content-Type field.
        public let contentType: String
        /// The body.
        public let content: String

        /// Makes a page.
        public init(contentType: String, content: String) {
            self.contentType = contentType
            self.content = content
        }
    }

    private struct Command {
        let words: [String]
        let help: String
        let body: (_ arguments: [String]) -> AdminReply
    }

    private var commands: [Command] = []
    private var pages: [(path: String, body: () -> Page)] = []

    /// Makes an empty registry that knows `help`.
    public init() {
        add("help", help: "this list") { [unowned self] _ in helpText }
    }

    /// Adds a command; `name` is one or more words, such as `show status`.
    public func add(_ name: String, help: String, _ body: @escaping CommandBody) {
        addAction(name, help: help) { AdminReply(body($0)) }
    }

    /// Adds a command that may fail.
    public func addAction(
        _ name: String, help: String, _ body: @escaping (_ arguments: [String]) -> AdminReply
    ) {
        let words = name.split(separator: " ").map(String.init)
        precondition(!words.isEmpty, "a command has a name")
        commands.append(Command(words: words, help: help, body: body))
    }

    /// Adds a page under an exact path.
    public func addPage(_ path: String, _ body: @escaping () -> Page) {
        precondition(path.hasPrefix("/"), "a path begins with a slash")
        pages.append((path, body))
    }

    /// Runs a line of commands, separated by semicolons as in HAProxy's runtime socket.
    public func run(line: String) -> AdminReply {
        let parts = line.split(separator: ";", omittingEmptySubsequences: true)
        let replies = parts.map {
            run(command: $0.split(whereSeparator: \.isWhitespace).map(String.init))
        }
        return AdminReply(
            replies.map(\.text).joined(separator: "\n"),
            isFailure: replies.contains(where: \.isFailure))
    }

    private func run(command words: [String]) -> AdminReply {
        guard !words.isEmpty else { return AdminReply("") }
        let matches = commands.filter { words.starts(with: $0.words) }
        guard let best = matches.max(by: { $0.words.count < $1.words.count }) else {
            return AdminReply(
                "Unknown command: \"\(words.joined(separator: " "))\"\n" + helpText,
                isFailure: true)
        }
        var reply = best.body(Array(words.dropFirst(best.words.count)))
        if !reply.text.hasSuffix("\n"), !reply.text.isEmpty { reply.text += "\n" }
        return reply
    }

    /// The page under `path`, or `nil`.
    public func page(_ path: String) -> Page? {
        pages.first { $0.path == path }?.body()
    }

    /// The paths that exist.
    public var pagePaths: [String] { pages.map(\.path) }

    private var helpText: String {
        let width = commands.map { $0.words.joined(separator: " ").count }.max() ?? 0
        let lines = commands.map { command in
            let name = command.words.joined(separator: " ")
            let padding = String(repeating: " ", count: width - name.count)
            return "  \(name)\(padding)  \(command.help)\n"
        }
        return "The following commands are known:\n" + lines.joined()
    }
}
