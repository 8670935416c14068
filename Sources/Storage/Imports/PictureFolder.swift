import Glibc

/// The pictures of a folder, and an account of everything else in it.
///
/// The folders in it are the classes; a picture in a folder of a class, however deep, is of that class. Links are followed. Names are taken as
/// bytes: those that are not UTF-8 are names too.
struct PictureFolder {
    struct File {
        let location: BytePath
        /// Within the folder, for people.
        let name: String
        /// Which of `classes` it is of.
        let classNumber: Int?
    }

    /// In the order of their names, the files of a folder before those of its folders.
    private(set) var files: [File] = []
    private(set) var classes: [String] = []
    var account = ImportAccount()

    private let skipBroken: Bool
    private var ancestors: [(device: dev_t, inode: ino_t)] = []

    /// `skipBroken` false: what this user may not read is an error.
    init(_ folder: String, skipBroken: Bool) throws(StorageError) {
        self.skipBroken = skipBroken
        let location = BytePath(folder)
        var status = stat()
        guard stat(location.bytes, &status) == 0 else {
            throw StorageError(.missing, "\(folder) cannot be opened: \(errorText(errno)).",
                               remedy: "Check the path; relative paths start at the working folder.")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw StorageError(.missing, "\(folder) is not a folder.", remedy: "Name the folder that the pictures are in.")
        }
        try walk(Place(location: location, name: "", classNumber: nil), status)
    }

    // MARK: - The walk

    /// A file or folder, under what name people know it, and the class that it belongs to.
    private struct Place {
        let location: BytePath
        let name: String
        let classNumber: Int?
    }

    private mutating func walk(_ place: Place, _ status: stat) throws(StorageError) {
        ancestors.append((status.st_dev, status.st_ino))
        defer { ancestors.removeLast() }
        var folders: [(name: [UInt8], status: stat)] = []
        for name in try names(in: place) {
            let entry = Place(location: place.location.appending(name), name: place.name + shownText(name), classNumber: place.classNumber)
            var status = stat()
            if stat(entry.location.bytes, &status) != 0 {
                try cannotBeExamined(entry, errno)
            } else if status.st_mode & S_IFMT == S_IFDIR {
                folders.append((name, status))
            } else {
                account.files += 1
                examine(entry, name, isRegular: status.st_mode & S_IFMT == S_IFREG)
            }
        }
        for folder in folders { try enter(folder.name, folder.status, of: place) }
    }

    private mutating func enter(_ name: [UInt8], _ status: stat, of place: Place) throws(StorageError) {
        let shown = shownText(name), path = place.name + shown
        if Self.isSystem(name) { return account.leaveOut(.hiddenFolder, path) }
        if ancestors.contains(where: { $0 == (status.st_dev, status.st_ino) }) { return account.leaveOut(.circle, path) }
        let before = files.count
        var number = place.classNumber
        if number == nil {
            number = classes.count
            classes.append(shown)
        }
        try walk(Place(location: place.location.appending(name), name: path + "/", classNumber: number), status)
        if files.count == before {
            account.leaveOut(.emptyFolder, path)
        } else if place.classNumber != nil {
            account.nested.add(path)
        }
    }

    private mutating func cannotBeExamined(_ entry: Place, _ number: Int32) throws(StorageError) {
        account.files += 1
        if number == ENOENT || number == ELOOP { return account.leaveOut(.deadLink, entry.name) }
        try cannotBeRead(entry, number)
    }

    private mutating func cannotBeRead(_ entry: Place, _ number: Int32) throws(StorageError) {
        guard skipBroken else {
            throw StorageError(.missing, "\(entry.location.text) cannot be opened: \(errorText(number)).",
                               remedy: "Give this user the right to read it, or leave out what cannot be read with --skip-broken.")
        }
        account.leaveOut(.unreadable, entry.name)
    }

    /// The names in a folder, sorted by their bytes.
    private mutating func names(in place: Place) throws(StorageError) -> [[UInt8]] {
        guard let stream = opendir(place.location.bytes) else {
            // The folder that the user named has to be readable.
            guard place.name.isEmpty else {
                try cannotBeRead(place, errno)
                return []
            }
            throw StorageError(.missing, "\(place.location.text) cannot be read: \(errorText(errno)).",
                               remedy: "Give this user the right to read it.")
        }
        defer { closedir(stream) }
        var names: [[UInt8]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else { break }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { Array($0.prefix { $0 != 0 }) }
            if name != Array(".".utf8), name != Array("..".utf8) { names.append(name) }
        }
        guard errno == 0 else {
            throw StorageError(.inputOutput, "\(place.location.text) could not be read to its end: \(errorText(errno)).",
                               remedy: "Check the disk, then run again.")
        }
        return names.sorted { $0.lexicographicallyPrecedes($1) }
    }

    // MARK: - What is a picture

    /// Pictures by their name are read, whatever they turn out to be.
    private static let extensions: Set<String> = ["png", "apng", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff"]
    /// Of these, and of files without an extension, the first bytes decide.
    private static let otherPictures: Set<String> = [
        "", "gif", "bmp", "dib", "pbm", "pgm", "ppm", "pnm", "avif", "heic", "heif", "jp2", "jxl", "ico", "tga", "img", "image", "pic",
    ]

    private mutating func examine(_ entry: Place, _ name: [UInt8], isRegular: Bool) {
        if !isRegular { return account.leaveOut(.special, entry.name) }
        if Self.isSystem(name) { return account.leaveOut(.hidden, entry.name) }
        let kind = Self.pathExtension(of: name)
        guard Self.extensions.contains(kind) || Self.otherPictures.contains(kind) && Self.startsAsPicture(entry.location) else {
            return account.leaveOut(.otherFormat, entry.name, kind: kind.isEmpty ? "without extension" : "." + kind)
        }
        files.append(File(location: entry.location, name: entry.name, classNumber: entry.classNumber))
    }

    private static func pathExtension(of name: [UInt8]) -> String {
        guard let dot = name.lastIndex(of: UInt8(ascii: ".")) else { return "" }
        return shownText(Array(name[(dot + 1)...])).lowercased()
    }

    private static func startsAsPicture(_ location: BytePath) -> Bool {
        guard let file = try? InputFile(location), let bytes = try? file.read(at: 0, count: min(16, file.size)) else { return false }
        return PictureFormat(bytes) != nil
    }

    /// What a Mac, Windows, a NAS or a program keeps beside the files: hidden names and these.
    private static func isSystem(_ name: [UInt8]) -> Bool {
        name.first == UInt8(ascii: ".") || systemNames.contains(shownText(name).lowercased())
    }

    private static let systemNames: Set<String> = [
        "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\\x0d", "$recycle.bin", "system volume information", "lost+found",
        "@eadir", "@tmp", "@recycle", "#recycle", "#snapshot", "__pycache__",
    ]
}
