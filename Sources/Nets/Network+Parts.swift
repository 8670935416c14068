extension Network {
    /// Calls `body` for the parts that run through layer `number` as one, and their rows: the halves of a shard where
    /// both the layer and the parts allow it, else each part alone. Penalised ones stay apart from others.
    func forEachSpan(of parts: Range<Int>, _ number: Int, _ body: (_ span: Range<Int>, _ rows: Range<Int>) -> Void) {
        let joins = computed[number].joinsParts
        var first = parts.lowerBound
        while first < parts.upperBound {
            var end = first + 1
            while joins, end < parts.upperBound, lastParts[end].joinsPrevious,
                lastParts[end].isPenalised == lastParts[first].isPenalised
            {
                end += 1
            }
            body(first ..< end, lastParts[first].rows.lowerBound ..< lastParts[end - 1].rows.upperBound)
            first = end
        }
    }

    /// Whether part `index` adds to the gradient that an earlier one of `parts` has written.
    func isAdded(_ index: Int, _ parts: Range<Int>) -> Bool {
        for earlier in parts.lowerBound ..< index where lastParts[earlier].shard == lastParts[index].shard {
            return true
        }
        return false
    }
}
