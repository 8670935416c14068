@testable import Runs
import Foundation
import Testing

@Suite struct InterpolationTests {
    @Test(arguments: Interpolation.Path.allCases) func beginsAndEndsAtTheLatents(path: Interpolation.Path) {
        for angle in [0, 0.3, 1.5, 3.0, Double.pi] {
            let (start, end) = (path.shares(0, angle: angle), path.shares(1, angle: angle))
            #expect(abs(start.0 - 1) < 1e-12 && abs(start.1) < 1e-12)
            #expect(abs(end.0) < 1e-12 && abs(end.1 - 1) < 1e-12)
        }
    }

    /// Points of the circle through two unit vectors, the angle between them divided evenly.
    @Test func sphericalWalksKeepTheDistanceFromTheOrigin() {
        let angle = 1.2
        for t in stride(from: 0.0, through: 1, by: 0.125) {
            let (a, b) = Interpolation.Path.spherical.shares(t, angle: angle)
            let (x, y) = (a + b * cos(angle), b * sin(angle))
            #expect(abs(x * x + y * y - 1) < 1e-12)
            #expect(abs(atan2(y, x) - t * angle) < 1e-12)
        }
        let (a, b) = Interpolation.Path.linear.shares(0.25, angle: angle)
        #expect(a == 0.75 && b == 0.25)
    }
}
