use super::*;

const FORM: Form = Form {
    file_name: "some.db",
    application_id: 0x536f_6d65,
    version: 2,
    tables: "CREATE TABLE some (x INTEGER) STRICT;",
    log_bytes: 4096 * 50,
    checkpoint_pages: 77,
    cache_kibibytes: 333,
};

fn number(connection: &Connection, query: &str) -> i64 {
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

fn text(connection: &Connection, query: &str) -> String {
    connection.query_row(query, [], |row| row.get(0)).unwrap()
}

/// A file of these statements in the place of ours.
fn foreign(dir: &Path, statements: &str) -> Vec<u8> {
    let connection = Connection::open(FORM.file_in(dir)).unwrap();
    connection.execute_batch(statements).unwrap();
    drop(connection);
    std::fs::read(FORM.file_in(dir)).unwrap()
}

/// No test can cut the power: what decides whether a commit waits for the disk is pinned here.
#[test]
fn durability_is_what_sqlite_was_told() {
    for (durable, synchronous) in [(true, 2), (false, 0)] {
        let dir = tempfile::tempdir().unwrap();
        for _new_then_old in 0..2 {
            let connection = FORM.open(dir.path(), durable).unwrap().connection;
            assert_eq!(number(&connection, "PRAGMA synchronous"), synchronous);
            assert_eq!(number(&connection, "PRAGMA fullfsync"), 1);
            assert_eq!(number(&connection, "PRAGMA checkpoint_fullfsync"), 1);
            assert_eq!(text(&connection, "PRAGMA journal_mode"), "wal");
            close(connection).unwrap();
        }
    }
}

#[test]
fn a_file_is_as_its_form_says() {
    let dir = tempfile::tempdir().unwrap();
    for _new_then_old in 0..2 {
        let Opened { connection, version } = FORM.open(dir.path(), false).unwrap();
        assert_eq!((version, number(&connection, "PRAGMA user_version")), (2, 2));
        assert_eq!(number(&connection, "PRAGMA application_id"), 0x536f_6d65);
        assert_eq!(number(&connection, "PRAGMA journal_size_limit"), 204_800);
        assert_eq!(number(&connection, "PRAGMA wal_autocheckpoint"), 77);
        assert_eq!(number(&connection, "PRAGMA cache_size"), -333);
        assert_eq!(number(&connection, "PRAGMA cell_size_check"), 1);
        assert_eq!(text(&connection, "PRAGMA locking_mode"), "exclusive");
        assert_eq!(number(&connection, "SELECT count(*) FROM some"), 0);
        close(connection).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn a_new_directory_is_its_users_alone_and_an_old_one_stays_as_it_is() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |dir: &Path| std::fs::metadata(dir).unwrap().permissions().mode() & 0o777;
    let outer = tempfile::tempdir().unwrap();
    let inner = outer.path().join("a/b");
    drop(FORM.open(&inner, true).unwrap());
    assert_eq!((mode(&inner), mode(inner.parent().unwrap())), (0o700, 0o700));
    std::fs::set_permissions(&inner, PermissionsExt::from_mode(0o750)).unwrap();
    drop(FORM.open(&inner, true).unwrap());
    assert_eq!(mode(&inner), 0o750);
}

#[test]
fn a_directory_that_cannot_be_made_is_said() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a"), "a file").unwrap();
    let refused = FORM.open(&dir.path().join("a/b"), true).unwrap_err();
    assert!(matches!(refused, OpenError::Directory(_)), "{refused}");
}

#[test]
fn a_file_in_the_place_of_the_directory_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("state");
    std::fs::write(&file, "mine").unwrap();
    let refused = FORM.open(&file, true).unwrap_err();
    assert!(refused.to_string().contains("it is not a directory"), "{refused}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_file_that_is_not_ours_is_left_alone() {
    for (statements, id) in
        [("CREATE TABLE mine (x); PRAGMA application_id = 7;", 7), ("CREATE TABLE some (x INTEGER);", 0)]
    {
        let dir = tempfile::tempdir().unwrap();
        let before = foreign(dir.path(), statements);
        let refused = FORM.open(dir.path(), false).unwrap_err();
        assert!(
            matches!(refused, OpenError::Foreign { found, expected: 0x536f_6d65 } if found == id),
            "{refused}"
        );
        assert_eq!(std::fs::read(FORM.file_in(dir.path())).unwrap(), before);
    }
}

#[test]
fn a_file_from_the_future_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    close(FORM.open(dir.path(), false).unwrap().connection).unwrap();
    let before = foreign(dir.path(), "PRAGMA user_version = 3");
    let refused = FORM.open(dir.path(), false).unwrap_err();
    assert!(matches!(refused, OpenError::Newer { found: 3, supported: 2 }), "{refused}");
    assert_eq!(std::fs::read(FORM.file_in(dir.path())).unwrap(), before);
}

#[test]
fn an_older_file_is_opened_and_told_of() {
    let dir = tempfile::tempdir().unwrap();
    close(FORM.open(dir.path(), false).unwrap().connection).unwrap();
    foreign(dir.path(), "PRAGMA user_version = 1");
    let Opened { connection, version } = FORM.open(dir.path(), false).unwrap();
    assert_eq!((version, number(&connection, "PRAGMA user_version")), (1, 1));
}

#[test]
fn a_file_that_is_no_database_is_said() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(FORM.file_in(dir.path()), [b'x'; 10_000]).unwrap();
    let refused = FORM.open(dir.path(), false).unwrap_err();
    assert!(matches!(refused, OpenError::Sqlite(_)), "{refused}");
}

#[test]
fn a_file_in_use_is_not_shared() {
    let dir = tempfile::tempdir().unwrap();
    let first = FORM.open(dir.path(), false).unwrap();
    assert!(matches!(FORM.open(dir.path(), false), Err(OpenError::InUse)));
    drop(first);
    FORM.open(dir.path(), false).unwrap();
}

#[test]
fn a_closed_file_is_whole_without_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let connection = FORM.open(dir.path(), false).unwrap().connection;
    connection.execute_batch("INSERT INTO some VALUES (5)").unwrap();
    close(connection).unwrap();
    let names = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().file_name());
    assert_eq!(names.collect::<Vec<_>>(), ["some.db"]);
    let connection = FORM.open(dir.path(), false).unwrap().connection;
    assert_eq!(number(&connection, "SELECT x FROM some"), 5);
}
