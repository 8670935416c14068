import Glibc

/// This host's own name, without asking a name server.
public let hostName: String = {
    var name = utsname()
    uname(&name)
    let text = withUnsafeBytes(of: name.nodename) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    return text.isEmpty ? "localhost" : text
}()
