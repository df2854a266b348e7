// SPDX-License-Identifier: Apache-2.0
//
// `tandem backend`: arguments and the process around the test backend.

internal import EventLoop
internal import LinuxIO
internal import WireCore

/// The command line of `tandem backend`.
public enum TestBackendArguments {
    /// What the arguments ask for.
    public enum Result: Hashable, Sendable {
        /// Serve.
        case run(TestBackendOptions)
        /// Print the usage text.
        case help
        /// The arguments make no sense; the text says why.
        case failure(String)
    }

    /// The usage text.
    public static let usage = """
        usage: tandem backend --listen ADDR:PORT [--listen ADDR:PORT]... [--name NAME]
                              [--fail-file PATH]

        A small HTTP/1.1 server to stand behind a balancer in tests and drills.

          /                     the name
          /healthz              200, or 503 after /control/health/fail or while PATH exists
          /control/health/fail  make /healthz fail; /control/health/ok makes it pass again
          /bytes/N, /chunked/N  N bytes, with Content-Length or chunked
          /delay/MS             the name, after MS milliseconds
          /status/CODE          this status code
          /echo                 the request, head and body

        """

    /// Reads the arguments after `backend`.
    public static func parse(_ arguments: [String]) -> Result {
        var options = TestBackendOptions(listen: [])
        var rest = arguments[...]
        while let argument = rest.popFirst() {
            if argument == "--help" || argument == "-h" { return .help }
            guard ["--listen", "--name", "--fail-file"].contains(argument) else {
                return .failure("unknown argument '\(argument)'")
            }
            guard let value = rest.popFirst() else {
                return .failure("\(argument) needs a value")
            }
            switch argument {
            case "--listen":
                guard let endpoint = Endpoint(value) else {
                    return .failure("--listen wants ADDR:PORT, not '\(value)'")
                }
                options.listen.append(endpoint)
            case "--name": options.name = value
            default: options.failFilePath = value
            }
        }
        if options.listen.isEmpty { return .failure("--listen ADDR:PORT is missing") }
        if !options.name.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) || options.name.isEmpty {
            return .failure("--name wants visible ASCII characters")
        }
        return .run(options)
    }
}

extension TestBackend {
    /// Runs `tandem backend` with the arguments after the command word.
    ///
    /// - Returns: the exit code.
    public static func main(_ arguments: [String]) -> CInt {
        switch TestBackendArguments.parse(arguments) {
        case .help:
            DescriptorOutput.print(TestBackendArguments.usage)
            return 0
        case .failure(let reason):
            DescriptorOutput.printError("tandem backend: \(reason)\n" + TestBackendArguments.usage)
            return 2
        case .run(let options):
            return serve(options)
        }
    }

    private static func serve(_ options: TestBackendOptions) -> CInt {
        _ = ProcessLimits.raiseDescriptorLimit()
        SignalDescriptor.ignoreBrokenPipes()
        do throws(Errno) {
            let loop = try EventLoop()
            let signals = try SignalReader([.terminate, .interrupt], on: loop) { _ in loop.stop() }
            let backend = try TestBackend(options, on: loop)
            for endpoint in backend.endpoints {
                DescriptorOutput.printError("\(options.name) listens on \(endpoint)\n")
            }
            loop.run()
            backend.stop()
            withExtendedLifetime(signals) {}
            return 0
        } catch {
            DescriptorOutput.printError("tandem backend: \(error)\n")
            return 1
        }
    }
}
