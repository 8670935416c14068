import Kernels

/// The messages that threads of one process have begun on one channel.
final class Mailboxes {
    struct Route: Hashable {
        let from: Int
        let to: Int
        let tag: Int
    }

    let rendezvous: Rendezvous
    /// What is sent and not yet received, in the senders' memory.
    var messages: [Route: [Floats]] = [:]

    init(_ rendezvous: Rendezvous) { self.rendezvous = rendezvous }
}

/// A message is copied from the sender's memory when the receiver asks for it, as late as the contract allows.
final class ThreadChannel: Channel {
    let allowsThread: Bool
    private let rank: Int
    private let mailboxes: Mailboxes
    /// Of each tag, what is begun and not done.
    private var outgoing: [[Message]]
    private var incoming: [[Message]]

    init(rank: Int, tags: Int, mailboxes: Mailboxes, allowsThread: Bool) {
        self.allowsThread = allowsThread
        self.rank = rank
        self.mailboxes = mailboxes
        outgoing = Array(repeating: [], count: tags)
        incoming = outgoing
    }

    /// What a rank that fails has not yet sent is in memory that goes with it.
    deinit {
        mailboxes.rendezvous.lock.withLock {
            for route in mailboxes.messages.keys where route.from == rank { mailboxes.messages[route] = [] }
        }
    }

    func begin(_ tag: Int, outgoing: [Message], incoming: [Message]) throws {
        precondition(
            self.outgoing[tag].isEmpty && self.incoming[tag].isEmpty, "tag \(tag) is begun again before it is done")
        self.outgoing[tag] = outgoing
        self.incoming[tag] = incoming
        mailboxes.rendezvous.lock.withLock {
            for message in outgoing {
                mailboxes.messages[.init(from: rank, to: message.peer, tag: tag), default: []].append(message.values)
            }
        }
    }

    func isDone(_ tag: Int) throws -> Bool {
        try mailboxes.rendezvous.lock.withLock {
            if let failure = mailboxes.rendezvous.failure {
                throw RankFailure(rank: failure.rank, message: "\(failure.error)")
            }
            while let message = incoming[tag].first {
                let route = Mailboxes.Route(from: message.peer, to: rank, tag: tag)
                guard let source = mailboxes.messages[route]?.first else { return false }
                precondition(
                    source.count == message.values.count,
                    "a message of \(source.count) values into \(message.values.count)")
                message.values.copy(from: source)
                mailboxes.messages[route]!.removeFirst()
                incoming[tag].removeFirst()
            }
            guard outgoing[tag].allSatisfy({ mailboxes.messages[.init(from: rank, to: $0.peer, tag: tag)]!.isEmpty })
            else { return false }
            outgoing[tag] = []
            return true
        }
    }
}
