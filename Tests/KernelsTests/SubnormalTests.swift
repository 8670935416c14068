import Foundation
import Kernels
import Testing

@Suite struct SubnormalTests {
    /// In a thread of its own, for the setting stays with its thread; a thread that this one starts has it too.
    @Test func numbersBelowTheNormalOnesAreZeros() {
        let results = FloatBuffer(count: 3), done = DispatchSemaphore(value: 0)
        let small = FloatBuffer([.leastNormalMagnitude, 0.5])
        @Sendable func half() -> Float { small.values[0] * small.values[1] }
        let thread = Thread {
            results.values[0] = half()
            InstructionSet.flushSubnormals()
            results.values[1] = half()
            let inner = Thread {
                results.values[2] = half()
                done.signal()
            }
            inner.start()
        }
        thread.start()
        done.wait()
        #expect(results.values[0] > 0 && results.values[1] == 0 && results.values[2] == 0)
    }
}
