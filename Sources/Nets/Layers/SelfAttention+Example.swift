import Kernels

/// The sizes of ``SelfAttention`` on one image.
struct AttentionSizes {
    let height: Int
    let width: Int
    let channels: Int

    init(_ shape: Shape) {
        guard case .image(let height, let width, let channels) = shape else {
            preconditionFailure("attention of \(shape)")
        }
        (self.height, self.width, self.channels) = (height, width, channels)
    }

    /// P and P′.
    var positions: Int { height * width }
    var pooled: Int { (height / 2) * (width / 2) }
    /// Channels of queries and keys, and of values.
    var small: Int { channels / 8 }
    var half: Int { channels / 2 }

    /// Q, K, V, the places of K's and V's maxima, A and A V.
    var savedCount: Int { positions * (small + half + pooled) + 2 * pooled * (small + half) }
    /// What the gradients of the parameters of a penalty take, which is the most: see ``OneAttention``.
    var scratchCount: Int {
        4 * positions * pooled + 4 * positions * (small + half) + 2 * pooled * (small + half)
    }

    func pooling(channels: Int) -> PoolingGeometry {
        PoolingGeometry(height: height, width: width, channels: channels, size: 2, stride: 2, partial: false)
    }
}

/// Where gradients of the parameters of ``SelfAttention`` are added.
struct AttentionGradients {
    let query, key, value, output, gamma: Floats

    init(_ memory: LayerMemory) {
        (query, key, value) = (memory.gradientToAdd(0), memory.gradientToAdd(1), memory.gradientToAdd(2))
        (output, gamma) = (memory.gradientToAdd(3), memory.gradientToAdd(4))
    }
}

/// ``SelfAttention`` of one example, after its forward: the names of the matrices are those of its formula.
///
/// One example at a time: its matrices stay in the cache from one product to the next. Products over 4 to 8 examples
/// together were measured to take 0.9 of the time, and attention takes some hundredths of a step.
struct OneAttention {
    private let sizes: AttentionSizes
    private let parameters: Parts
    private let x: Floats
    private let q, k, v, keyPlaces, valuePlaces, a, means: Floats
    private let scratch: Floats

    init(_ input: Batch, _ example: Int, _ memory: LayerMemory) {
        let sizes = AttentionSizes(input.shape)
        var saved = Room(memory.saved, from: example * sizes.savedCount)
        (self.sizes, parameters, scratch, x) = (sizes, memory.parameters, memory.scratch, input[example])
        q = saved.take(sizes.positions * sizes.small)
        k = saved.take(sizes.pooled * sizes.small)
        v = saved.take(sizes.pooled * sizes.half)
        keyPlaces = saved.take(sizes.pooled * sizes.small)
        valuePlaces = saved.take(sizes.pooled * sizes.half)
        a = saved.take(sizes.positions * sizes.pooled)
        means = saved.take(sizes.positions * sizes.half)
    }

    private var gamma: Float { parameters[4][0] }

    // MARK: Passes

    func forward(into y: Floats) {
        var room = Room(scratch)
        let whole = room.take(sizes.positions * sizes.half)
        project(x, 0, into: q)
        let keys = whole[0 ..< sizes.positions * sizes.small]
        project(x, 1, into: keys)
        Pooling.maximum(keys, sizes.pooling(channels: sizes.small), batch: 1, into: k, winners: keyPlaces)
        project(x, 2, into: whole)
        Pooling.maximum(whole, sizes.pooling(channels: sizes.half), batch: 1, into: v, winners: valuePlaces)
        multiplyPositions(q, k, into: a)
        Attention.softmax(a, columns: sizes.pooled)
        multiplyPooled(a, v, into: means)
        addOutput(of: means, to: x, into: y, scaled: whole)
    }

    /// e in `dy`, where the gradients are those of ⟨e, y⟩.
    func backward(_ dy: Floats, into dx: Floats?, _ gradients: AttentionGradients?) {
        var room = Room(scratch)
        let e = takeBackOutput(dy, means, gradients, &room)
        let ds = slopesOfScores(e, &room)
        let dq = room.take(sizes.positions * sizes.small), dk = room.take(sizes.pooled * sizes.small)
        let dv = room.take(sizes.pooled * sizes.half)
        multiplyPooled(ds, k, into: dq)
        multiplyTransposed(ds, q, into: dk)
        multiplyTransposed(a, e, into: dv)
        dx?.copy(from: dy)
        takeBackProjections(dq, dk, dv, of: x, into: dx, gradients, &room)
    }

    func tangent(_ t: Floats, into result: Floats) {
        var room = Room(scratch)
        let moved = Moved(of: self, along: t, &room)
        addOutput(of: moved.means, to: t, into: result, scaled: room.take(sizes.positions * sizes.half))
    }

    func curvature(_ e: Floats, tangent t: Floats, into c: Floats, adding: Bool) {
        var room = Room(scratch)
        let moved = Moved(of: self, along: t, &room)
        let inner = takeBackOutput(e, moved.means, nil, &room)
        let slopes = slopesOfScores(inner, &room), bent = Bent(moved, of: self, inner, slopes, &room)
        if !adding { c.fill(0) }
        takeBackProjections(bent.q, bent.k, bent.v, of: x, into: c, nil, &room)
    }

    /// Of weight · ⟨e, y⟩ + ⟨e, J t⟩. With the slopes of ⟨e, y⟩ by Q, K and V, and q, k, v those of ⟨e, J t⟩ through
    /// them, dW = Xᵀ q + (weight · X + T)ᵀ slope.
    func tangentGradients(_ e: Floats, tangent t: Floats, weight: Floats, _ gradients: AttentionGradients) {
        var room = Room(scratch)
        let moved = Moved(of: self, along: t, &room)
        Reductions.addRows(of: means, times: weight, to: moved.means)
        let inner = takeBackOutput(e, moved.means, gradients, &room)
        let slopes = slopesOfScores(inner, &room), bent = Bent(moved, of: self, inner, slopes, &room)
        takeBackProjections(bent.q, bent.k, bent.v, of: x, into: nil, gradients, &room)
        // What Bent has read may be overwritten now.
        multiplyPooled(slopes, k, into: bent.q)
        multiplyTransposed(slopes, q, into: bent.k)
        multiplyTransposed(a, inner, into: bent.v)
        Reductions.addRows(of: x, times: weight, to: t)
        takeBackProjections(bent.q, bent.k, bent.v, of: t, into: nil, gradients, &room)
    }

    // MARK: Their parts

    /// How Q, K, V, the scores before the softmax, A and A V move along a tangent of x.
    private struct Moved {
        let q, k, v, scores, a, means: Floats

        init(of one: OneAttention, along t: Floats, _ room: inout Room) {
            let sizes = one.sizes
            q = room.take(sizes.positions * sizes.small)
            k = room.take(sizes.pooled * sizes.small)
            v = room.take(sizes.pooled * sizes.half)
            scores = room.take(sizes.positions * sizes.pooled)
            a = room.take(sizes.positions * sizes.pooled)
            means = room.take(sizes.positions * sizes.half)
            let keys = room.take(sizes.positions * sizes.small)
            one.project(t, 0, into: q)
            one.project(t, 1, into: keys)
            Pooling.selectMaximum(
                keys, winners: one.keyPlaces, sizes.pooling(channels: sizes.small), batch: 1, into: k)
            one.project(t, 2, into: means)
            Pooling.selectMaximum(
                means, winners: one.valuePlaces, sizes.pooling(channels: sizes.half), batch: 1, into: v)
            one.multiplyPositions(q, one.k, into: scores)
            one.multiplyPositions(one.q, k, into: scores, adding: true)
            Attention.derivative(scores, weights: one.a, columns: sizes.pooled, into: a)
            one.multiplyPooled(a, one.v, into: means)
            one.multiplyPooled(one.a, v, into: means, adding: true)
        }
    }

    /// The gradients of ⟨e, J t⟩ by Q, K and V, through them and not through what moves with t.
    private struct Bent {
        let q, k, v: Floats

        /// `inner`: γ e W_oᵀ; `slopes`: J of the softmax times `inner` Vᵀ.
        init(_ moved: Moved, of one: OneAttention, _ inner: Floats, _ slopes: Floats, _ room: inout Room) {
            let sizes = one.sizes
            q = room.take(sizes.positions * sizes.small)
            k = room.take(sizes.pooled * sizes.small)
            v = room.take(sizes.pooled * sizes.half)
            one.multiplyTransposed(moved.a, inner, into: v)
            // By A, of ⟨inner, (J of the softmax) scores V + A moved V⟩; `moved.a` is not read any more.
            let byWeights = room.take(sizes.positions * sizes.pooled), plain = moved.a
            one.multiplyPositions(inner, one.v, into: plain)
            one.multiplyPositions(inner, moved.v, into: byWeights)
            Attention.addCurvature(
                plain, tangent: moved.scores, weights: one.a, columns: sizes.pooled, to: byWeights)
            Attention.derivative(byWeights, weights: one.a, columns: sizes.pooled, into: byWeights)
            one.multiplyPooled(byWeights, one.k, into: q)
            one.multiplyPooled(slopes, moved.k, into: q, adding: true)
            one.multiplyTransposed(byWeights, one.q, into: k)
            one.multiplyTransposed(slopes, moved.q, into: k, adding: true)
        }
    }

    /// y = γ M W_o + x; `scaled`: room for γ M.
    private func addOutput(of means: Floats, to x: Floats, into y: Floats, scaled: Floats) {
        let scaled = scaled[0 ..< means.count]
        Attention.scale(means, by: gamma, into: scaled)
        y.copy(from: x)
        Matrix.multiply(
            scaled, by: parameters[3], into: y, rows: sizes.positions, columns: sizes.channels, inner: sizes.half,
            adding: true)
    }

    /// γ e W_oᵀ. The gradients are those of W_o and γ of ⟨e, γ M W_o⟩.
    private func takeBackOutput(
        _ e: Floats, _ means: Floats, _ gradients: AttentionGradients?, _ room: inout Room
    ) -> Floats {
        let inner = room.take(sizes.positions * sizes.half)
        Matrix.multiply(
            e, by: parameters[3], secondTransposed: true, into: inner, rows: sizes.positions, columns: sizes.half,
            inner: sizes.channels)
        if let gradients {
            gradients.gamma[0] += Float(Reductions.product(inner, means))
            let scaled = room.take(sizes.positions * sizes.half)
            Attention.scale(means, by: gamma, into: scaled)
            Matrix.multiply(
                scaled, transposed: true, by: e, into: gradients.output, rows: sizes.half, columns: sizes.channels,
                inner: sizes.positions, adding: true)
        }
        Attention.scale(inner, by: gamma, into: inner)
        return inner
    }

    /// The gradient of ⟨inner, A V⟩ by the scores Q Kᵀ.
    private func slopesOfScores(_ inner: Floats, _ room: inout Room) -> Floats {
        let slopes = room.take(sizes.positions * sizes.pooled)
        multiplyPositions(inner, v, into: slopes)
        Attention.derivative(slopes, weights: a, columns: sizes.pooled, into: slopes)
        return slopes
    }

    /// Adds to dx, and to the gradients of W_q, W_k and W_v for the input x, given those of Q, K and V.
    private func takeBackProjections(
        _ dq: Floats, _ dk: Floats, _ dv: Floats, of x: Floats, into dx: Floats?, _ gradients: AttentionGradients?,
        _ room: inout Room
    ) {
        takeBack(dq, 0, sizes.small, of: x, into: dx, gradients?.query)
        let start = room
        let keys = room.take(sizes.positions * sizes.small), values = room.take(sizes.positions * sizes.half)
        room = start
        Pooling.maximumGradient(
            dk, winners: keyPlaces, sizes.pooling(channels: sizes.small), batch: 1, into: keys)
        takeBack(keys, 1, sizes.small, of: x, into: dx, gradients?.key)
        Pooling.maximumGradient(
            dv, winners: valuePlaces, sizes.pooling(channels: sizes.half), batch: 1, into: values)
        takeBack(values, 2, sizes.half, of: x, into: dx, gradients?.value)
    }

    private func takeBack(
        _ gradient: Floats, _ parameter: Int, _ outputs: Int, of x: Floats, into dx: Floats?, _ weightGradient: Floats?
    ) {
        if let weightGradient {
            Matrix.multiply(
                x, transposed: true, by: gradient, into: weightGradient, rows: sizes.channels, columns: outputs,
                inner: sizes.positions, adding: true)
        }
        if let dx {
            Matrix.multiply(
                gradient, by: parameters[parameter], secondTransposed: true, into: dx, rows: sizes.positions,
                columns: sizes.channels, inner: outputs, adding: true)
        }
    }

    /// X W.
    private func project(_ x: Floats, _ parameter: Int, into result: Floats) {
        Matrix.multiply(
            x, by: parameters[parameter], into: result, rows: sizes.positions,
            columns: result.count / sizes.positions, inner: sizes.channels)
    }

    /// [P, n] times the transposed [P′, n].
    private func multiplyPositions(_ left: Floats, _ right: Floats, into result: Floats, adding: Bool = false) {
        Matrix.multiply(
            left, by: right, secondTransposed: true, into: result, rows: sizes.positions, columns: sizes.pooled,
            inner: left.count / sizes.positions, adding: adding)
    }

    /// [P, P′] times [P′, n].
    private func multiplyPooled(_ left: Floats, _ right: Floats, into result: Floats, adding: Bool = false) {
        Matrix.multiply(
            left, by: right, into: result, rows: sizes.positions, columns: right.count / sizes.pooled,
            inner: sizes.pooled, adding: adding)
    }

    /// The transposed [P, P′] times [P, n].
    private func multiplyTransposed(_ left: Floats, _ right: Floats, into result: Floats, adding: Bool = false) {
        Matrix.multiply(
            left, transposed: true, by: right, into: result, rows: sizes.pooled,
            columns: right.count / sizes.positions, inner: sizes.positions, adding: adding)
    }
}

/// Memory of which one piece after another is taken.
private struct Room {
    private let all: Floats
    private var taken: Int

    init(_ all: Floats, from start: Int = 0) { (self.all, taken) = (all, start) }

    mutating func take(_ count: Int) -> Floats {
        defer { taken += count }
        return all[taken ..< taken + count]
    }
}
