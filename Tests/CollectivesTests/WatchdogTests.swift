import Foundation
import Synchronization
import Testing
@testable import Collectives

@Suite struct WatchdogTests {
    private func heartbeat(
        _ rank: Int, beat: Int, pulse: Int = 70, step: Int = 9, phase: Phase = .exchange
    ) -> Heartbeat {
        Heartbeat(rank: rank, host: "node\(rank)", beat: beat, pulse: pulse, step: step, phase: phase)
    }

    /// All ranks' pulses as they were some seconds before, but for those of `stopped`.
    private func stall(_ now: [Heartbeat], stopped: [Int] = []) -> Stall {
        Stall(
            now,
            earlier: now.map {
                heartbeat($0.rank, beat: $0.beat, pulse: stopped.contains($0.rank) ? $0.pulse : $0.pulse - 5)
            })
    }

    @Test func namesTheRankThatIsBehind() {
        let stall = stall([heartbeat(0, beat: 40), heartbeat(1, beat: 39, phase: .generator), heartbeat(2, beat: 40)])
        #expect(stall.printer == 0 && !stall.mayLast)
        #expect(
            stall.message(seconds: 60)
                == "no progress for 60 s: rank 1 (host node1) is at step 9, phase generator; the other ranks wait")
    }

    @Test func anotherRankPrintsIfRank0IsBehind() {
        let stall = stall([heartbeat(0, beat: 3, step: 1, phase: .data), heartbeat(1, beat: 4), heartbeat(2, beat: 4)])
        #expect(stall.printer == 1)
        #expect(stall.stragglers == [heartbeat(0, beat: 3, step: 1, phase: .data)])
    }

    /// Rank 0 was stopped inside MPI, as far as the others are: it cannot be the one that prints.
    @Test func aStoppedProcessIsNamedWhereverItIs() {
        let stall = stall((0 ..< 3).map { heartbeat($0, beat: 5) }, stopped: [0])
        #expect(stall.printer == 1 && !stall.isEveryone)
        #expect(
            stall.message(seconds: 60)
                == "no progress for 60 s: rank 0 (host node0) is at step 9, phase exchange; the other ranks wait")
    }

    @Test(arguments: Phase.allCases) func onlyALivingRankMayTakeLong(phase: Phase) {
        let ranks = [heartbeat(0, beat: 4, phase: phase), heartbeat(1, beat: 5)]
        let long: [Phase] = [.starting, .samples, .evaluation, .checkpoint, .ending]
        #expect(stall(ranks).mayLast == long.contains(phase))
        #expect(!stall(ranks, stopped: [0]).mayLast)
        #expect(!stall(ranks, stopped: [1]).mayLast)
    }

    @Test func saysIfAllAreStuckAtOnePlace() {
        let stall = stall((0 ..< 3).map { heartbeat($0, beat: 5) })
        #expect(stall.printer == 0 && stall.isEveryone)
        #expect(stall.message(seconds: 60) == "no rank has made progress for 60 s: all 3 are at step 9, phase exchange")
    }

    @Test func heartbeatsSurviveTheirFiles() throws {
        let folder = NSTemporaryDirectory() + "heartbeats-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let files = HeartbeatFiles(folder: folder)
        files.write(heartbeat(3, beat: 123_456, step: 99_999, phase: .checkpoint))
        files.write(heartbeat(3, beat: 7, step: 2))
        #expect(files.read(rank: 3) == heartbeat(3, beat: 7, step: 2))
        #expect(files.read(rank: 4) == nil)
        try Data("12 nonsense".utf8).write(to: URL(fileURLWithPath: files.path(of: 5)))
        #expect(files.read(rank: 5) == nil)
        files.remove(rank: 3)
        #expect(files.read(rank: 3) == nil)
    }

    /// Rank 1 goes on, rank 0 does not: rank 1 says so, once its own progress has ended. Without a folder each knows
    /// only itself.
    @Test func warnsWhileTheMainThreadIsStuck() throws {
        let folder = NSTemporaryDirectory() + "heartbeats-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let warnings = Warnings()
        try ThreadCommunicator.run(size: 2) { communicator in
            let watchdog = try Watchdog(communicator: communicator, folder: folder, limits: .init(warn: 3, abort: 300))
            {
                warning in
                warnings.all.withLock { $0.append(warning) }
            }
            watchdog.enter(.discriminator, step: 4)
            if communicator.rank == 1 { watchdog.enter(.exchange, step: 4) }
            while warnings.all.withLock({ $0.isEmpty }) { usleep(50_000) }
            try communicator.barrier()
            watchdog.stop()
        }
        #expect(
            warnings.all.withLock { $0[0] }
                == .warning(
                    "no progress for 3 s: rank 0 (host thread0) is at step 4, phase discriminator; the other ranks wait"
                ))
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
    }

    private final class Warnings: Sendable {
        let all = Mutex<[Watchdog.Finding]>([])
    }
}
