import Foundation
import Support
import Testing
@testable import Runs

@Suite struct RunLockTests {
    private func inFolder<Value>(_ body: (RunFolder) throws -> Value) throws -> Value {
        let folder = RunFolder(NSTemporaryDirectory() + "lock-\(UUID().uuidString)")
        try folder.create()
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        return try body(folder)
    }

    private func files(_ folder: RunFolder) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder.path).filter { $0.hasPrefix("lock") }
    }

    /// A holder that is this process under another number, so that several of them are alive here at once.
    private func dead(_ number: Int) -> RunLockHolder {
        var holder = RunLockHolder.mine()
        holder.started = "dead-\(number)"
        return holder
    }

    private func write(_ holder: RunLockHolder, _ folder: RunFolder) throws {
        try JSONEncoder().encode(holder).write(to: URL(fileURLWithPath: folder.lock))
    }

    @Test func aLockIsRefusedWhileItsHolderLivesAndGivenBack() throws {
        try inFolder { folder throws in
            let lock = try RunLock(folder) { _ in }
            #expect { try RunLock(folder) { _ in } } throws: { ($0 as? Failure)?.code == .cannotCreate }
            lock.release()
            #expect(try files(folder) == [])
            _ = try RunLock(folder) { _ in }
            #expect(try files(folder) == [], "a lock that nobody refers to is given back")
        }
    }

    /// Many look at one dead lock at the same moment; whoever is late must not take the winner's lock for the dead
    /// one's.
    @Test func oneOfManyTakesADeadLock() throws {
        try inFolder { folder throws in
            for _ in 0 ..< 50 {
                let old = dead(0)
                try write(old, folder)
                let winners = Counter()
                DispatchQueue.concurrentPerform(iterations: 8) { index in
                    let file = RunLockFile(path: folder.lock, holder: dead(index + 1))
                    // The decision that it is dead was made before; only then do they race.
                    for _ in 0 ..< 3 where (try? file.takeOver(from: old)) == true { winners.add() }
                }
                #expect(winners.count == 1)
                #expect(try files(folder) == ["lock"])
                #expect(RunLockFile(path: folder.lock, holder: old).read() != old)
            }
        }
    }

    @Test func aHolderElsewhereIsWatched() throws {
        try inFolder { folder throws in
            var other = dead(0)
            other.host = "another-host"
            try write(other, folder)
            let toucher = RunLockFile(path: folder.lock, holder: other)
            let touching = Thread {
                for _ in 0 ..< 40 {
                    toucher.touch()
                    Thread.sleep(forTimeInterval: 0.05)
                }
            }
            touching.start()
            #expect { try RunLock(folder, holder: .mine(), patience: 1) { _ in } } throws: {
                "\($0)".contains("another-host")
            }
            while !touching.isFinished { Thread.sleep(forTimeInterval: 0.05) }
            let lock = try RunLock(folder, holder: .mine(), patience: 0.4) { _ in }
            #expect(try files(folder) == ["lock"])
            lock.release()
        }
    }

    @Test func aRequeuedJobFollowsItself() {
        var first = dead(0), second = dead(1)
        first.job = "17"
        second.job = "17"
        #expect(!second.follows(first), "two steps of one start of the job")
        second.restart = "1"
        #expect(second.follows(first))
        second.job = "18"
        #expect(!second.follows(first))
    }

    /// The lock was taken over while this job stood still: it must neither write on nor remove the new holder's lock.
    @Test func aLostLockIsLeftAlone() throws {
        try inFolder { folder throws in
            let lock = try RunLock(folder) { _ in }
            try write(dead(1), folder)
            lock.release()
            #expect(try files(folder) == ["lock"])
        }
    }

    /// What Linux wrote in /proc/PID/stat of one process: asleep, just killed, and while its memory was given back.
    @Test(arguments: [("4194304", "0", false), ("4194304", "256", true), ("4195340", "0", true)])
    func aKilledProcessIsEnding(flags: String, pending: String, ends: Bool) throws {
        let stat = """
            9602 (a) b) S 9523 9520 21112 0 -1 \(flags) 78805 0 0 0 7 27 0 0 39 19 1 0 3189219 331554816 80122 \
            18446744073709551615 94796548198400 94796548198741 140721400333504 0 0 \(pending) 0 16781312 2 1 0 0 17
            """
        let fields = try #require(RunLockHolder.statusFields(stat))
        #expect(RunLockHolder.isEnding(fields) == ends)
        #expect(fields[19] == "3189219", "when it started")
        #expect(!RunLockHolder.mine().isEnding)
    }

    private final class Counter: @unchecked Sendable {
        private let lock = NSLock()
        private(set) var count = 0
        func add() { lock.withLock { count += 1 } }
    }
}
