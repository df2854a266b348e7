// SPDX-License-Identifier: Apache-2.0
//
// Options of a command line: `--name value`, `--name=value`, flags, and the words between them.

/// The options and words of one command.
struct Arguments {
    /// What is wrong with a command line.
    struct Problem: Error {
        let message: String
        let word: String?
        let known: [String]

        /// Tells the user.
        func complain() -> ExitCode {
            Usage.complain(message, word: word, known: known)
        }
    }

    /// Words that are no options, in order.
    private(set) var words: [String] = []
    private var values: [String: String] = [:]
    private var flags: Set<String> = []

    /// Sorts `arguments` by the options a command knows.
    init(
        _ arguments: [String], options: [String] = [], flags known: [String] = [],
        wordCountMax: Int = 0
    ) throws(Problem) {
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            guard argument.hasPrefix("--"), argument != "--" else {
                words.append(argument)
                continue
            }
            let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
            let name = parts[0]
            if known.contains(name), parts.count == 1 {
                flags.insert(name)
            } else if options.contains(name) {
                guard let value = parts.count == 2 ? parts[1] : rest.popFirst() else {
                    throw Problem(message: "\(name) needs a value", word: nil, known: [])
                }
                values[name] = value
            } else {
                throw Problem(
                    message: "there is no option \"\(name)\"", word: name, known: options + known)
            }
        }
        if words.count > wordCountMax {
            throw Problem(
                message: "unexpected word \"\(words[wordCountMax])\"", word: nil, known: [])
        }
    }

    /// The value of an option, if it was given.
    subscript(_ option: String) -> String? { values[option] }

    /// Whether a flag was given.
    func has(_ flag: String) -> Bool { flags.contains(flag) }
}
