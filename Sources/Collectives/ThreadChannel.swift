import Kernels

/// The messages that threads of one process have begun on one channel.
final class PostOffice {
    struct Route: Hashable {
        let from: Int
        let to: Int
        let tag: Int
    }

    let meeting: Meeting
    /// What is sent and not yet received, in the senders' memory.
    var letters: [Route: [Floats]] = [:]

    init(_ meeting: Meeting) { self.meeting = meeting }
}

/// A message is copied from the sender's memory when the receiver asks for it, as late as the contract allows.
final class ThreadChannel: Channel {
    let allowsThread: Bool
    private let rank: Int
    private let office: PostOffice
    /// Of each tag, what is begun and not done.
    private var outgoing: [[Message]]
    private var incoming: [[Message]]

    init(rank: Int, tags: Int, office: PostOffice, allowsThread: Bool) {
        self.allowsThread = allowsThread
        self.rank = rank
        self.office = office
        outgoing = Array(repeating: [], count: tags)
        incoming = outgoing
    }

    /// What a rank that fails has not yet sent is in memory that goes with it.
    deinit {
        office.meeting.lock.hold {
            for route in office.letters.keys where route.from == rank { office.letters[route] = [] }
        }
    }

    func begin(_ tag: Int, outgoing: [Message], incoming: [Message]) throws {
        precondition(self.outgoing[tag].isEmpty && self.incoming[tag].isEmpty, "tag \(tag) is begun again before it is done")
        self.outgoing[tag] = outgoing
        self.incoming[tag] = incoming
        office.meeting.lock.hold {
            for message in outgoing {
                office.letters[.init(from: rank, to: message.peer, tag: tag), default: []].append(message.values)
            }
        }
    }

    func isDone(_ tag: Int) throws -> Bool {
        try office.meeting.lock.hold {
            if let failure = office.meeting.failure { throw RankFailure(rank: failure.rank, message: "\(failure.error)") }
            while let message = incoming[tag].first {
                let route = PostOffice.Route(from: message.peer, to: rank, tag: tag)
                guard let source = office.letters[route]?.first else { return false }
                precondition(source.count == message.values.count, "a message of \(source.count) values into \(message.values.count)")
                message.values.copy(from: source)
                office.letters[route]!.removeFirst()
                incoming[tag].removeFirst()
            }
            guard outgoing[tag].allSatisfy({ office.letters[.init(from: rank, to: $0.peer, tag: tag)]!.isEmpty }) else { return false }
            outgoing[tag] = []
            return true
        }
    }
}
