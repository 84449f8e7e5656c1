//! Good settings, and every way to spoil them by one change.

/// Settings without a problem.
pub(crate) const GOOD: &str = r#"
[service]
data_dir = "data"
listen = "127.0.0.1:8787"

[source]
url = "https://api.example.com/v1/lookup"
token_env = "SOURCE_TOKEN"
requests_per_second = 50

[[sync]]
name = "accounts"
channel = "/event/Sync_Request__e"
object = "Account"
keys = { domain = "Website" }
target = "Enrichment__c"
external_id = { field = "External_Id__c", from = "/key" }
refresh = { where = "Website != null", schedule = "0 2 * * SAT", window = "22:00-04:00", batch = 100 }
[sync.fields]
Account__c = "$Id"
Employee_Count__c = "/employees"

[org_defaults]
limits = { daily_share = 0.25 }

[[org]]
id = "acme"
login_url = "https://login.salesforce.com"
auth = { flow = "jwt", client_id_env = "SF_CLIENT_ID", username = "sync@acme.com", key_file = "secrets/jwt.key" }
time_zone = "Europe/Berlin"
namespace = "acmeco"
syncs = ["accounts"]

[[org]]
id = "globex"
login_url = "https://globex.my.salesforce.com"
auth = { flow = "client_credentials", client_id_env = "SF_CLIENT_ID", client_secret_env = "SF_CLIENT_SECRET" }
"#;

/// What is replaced, by what, what the line that is named contains, and what is said about it and what is
/// advised (a part of both).
pub(crate) const WRONG: &[(&str, &str, &str, &str, &str)] = &[
    // The file as such.
    ("[source]", "[source", "[source", "this is not TOML", ""),
    (
        "object = \"Account\"",
        "object = \"Account\"\nobject = \"Lead\"",
        "object = \"Lead\"",
        "duplicate key",
        "",
    ),
    (
        "[service]",
        "[servise]",
        "[servise]",
        "`servise` is not a key orgpipe knows",
        "Did you mean `service`?",
    ),
    (
        "[[org]]\nid = \"acme\"",
        "[[orgs]]\nid = \"acme\"",
        "[[orgs]]",
        "`orgs` is not a key orgpipe knows",
        "Write `[[org]]`, once",
    ),
    ("[service]", "[org]", "", "not TOML", ""),
    // Service.
    (
        "data_dir = \"data\"",
        "data_dir = 7",
        "data_dir",
        "service: `data_dir` must be a text in double quotes",
        "",
    ),
    ("data_dir = \"data\"", "data_dir = \"\"", "data_dir", "service: `data_dir` is empty", ""),
    (
        "127.0.0.1:8787",
        "127.0.0.1",
        "listen",
        "service: `listen` is `127.0.0.1`, which is no address with a port",
        "",
    ),
    (
        "127.0.0.1:8787",
        "0.0.0.0:8787",
        "listen",
        "which other machines can reach, and tokens would travel there in clear",
        "`behind_proxy = true` where a proxy in front of it speaks TLS",
    ),
    ("data_dir = \"data\"", "durability = \"none\"", "durability", "is `none`, which is no durability", ""),
    (
        "data_dir = \"data\"",
        "cache_mb = 1",
        "cache_mb",
        "`cache_mb` must be a whole number from 8 to 65536",
        "",
    ),
    (
        "data_dir = \"data\"",
        "ledger_days = 0",
        "ledger_days",
        "`ledger_days` must be a whole number from 1 to 3650",
        "",
    ),
    (
        "data_dir = \"data\"",
        "free_min_mb = 1000001",
        "free_min_mb",
        "`free_min_mb` must be a whole number from 0 to 1000000",
        "",
    ),
    (
        "data_dir = \"data\"",
        "queue_max = 10",
        "queue_max",
        "`queue_max` must be a whole number from 10000 to 100000000",
        "",
    ),
    (
        "data_dir = \"data\"",
        "hosts = [\"https://orgpipe.internal\"]",
        "hosts",
        "service: `hosts` has `https://orgpipe.internal`, which is no host name",
        "such as \"orgpipe.internal\"",
    ),
    ("data_dir = \"data\"", "behind_proxy = \"yes\"", "behind", "must be `true` or `false`", ""),
    (
        "data_dir = \"data\"",
        "listen_beyond_loopback = true",
        "listen_beyond_loopback",
        "service: `listen_beyond_loopback` is not a key orgpipe knows",
        "Write `behind_proxy = true`",
    ),
    (
        "data_dir = \"data\"",
        "tls = { cert_file = \"none.pem\", key_file = \"secrets/jwt.key\" }",
        "tls",
        "service: `tls.cert_file` names the file `none.pem`, which cannot be read",
        "Let the user that runs orgpipe read it",
    ),
    (
        "data_dir = \"data\"",
        "tls = { cert_file = \"secrets/jwt.key\", key_file = \"secrets/jwt.key\" }",
        "tls",
        "service: `tls.cert_file` names a file with no certificate in it",
        "-----BEGIN CERTIFICATE-----",
    ),
    (
        "data_dir = \"data\"",
        "tls = { cert_file = \"settings.toml\" }",
        "tls",
        "service: `tls.key_file` is missing",
        "private key",
    ),
    ("data_dir = \"data\"", "tls = true", "tls", "service: `tls` must be a table of keys", ""),
    (
        "data_dir = \"data\"",
        "tls = { cert_fil = \"a\" }",
        "tls",
        "service: `tls.cert_fil` is not a key orgpipe knows",
        "Did you mean `cert_file`?",
    ),
    // Source.
    ("url = \"https://api.example.com/v1/lookup\"\n", "", "[source]", "source: `url` is missing", ""),
    ("https://api", "http://api", "url =", "source: `url` starts with http://, so secrets would travel", ""),
    (
        "https://api.example.com",
        "https://user:hidden-pasted@api.example.com",
        "url =",
        "has a user name or password",
        "",
    ),
    ("https://api.example.com", "api.example.com", "url =", "`url` is no URL", ""),
    ("https://api.example.com", "ftp://api.example.com", "url =", "`url` starts with ftp:", ""),
    (
        "\"SOURCE_TOKEN\"",
        "\"NO_SUCH_TOKEN\"",
        "token_env",
        "names the environment variable `NO_SUCH_TOKEN`, which is not set",
        "",
    ),
    ("\"SOURCE_TOKEN\"", "\"EMPTY\"", "token_env", "`EMPTY`, which is not set", ""),
    (
        "\"SOURCE_TOKEN\"",
        "\"TWO_LINES\"",
        "token_env",
        "`TWO_LINES`, whose value has characters no HTTP header",
        "",
    ),
    ("\"SOURCE_TOKEN\"", "\"hidden-pasted\"", "token_env", "is not the name of an environment variable", ""),
    (
        "token_env = \"SOURCE_TOKEN\"",
        "token = \"hidden-pasted\"",
        "token =",
        "`token` is not a key",
        "write `token_env",
    ),
    (
        "requests_per_second = 50",
        "request_per_second = 50",
        "request_per",
        "`request_per_second` is not a key",
        "Did you mean `requests_per_second`?",
    ),
    (
        "requests_per_second = 50",
        "requests_per_second = 0",
        "requests_per",
        "must be a whole number from 1 to 10000",
        "",
    ),
    (
        "requests_per_second = 50",
        "timeout_secs = 1.5",
        "timeout",
        "`timeout_secs` must be a whole number",
        "",
    ),
    // Syncs.
    ("name = \"accounts\"\n", "", "[[sync]]", "sync number 1: `name` is missing", ""),
    ("object = \"Account\"\n", "", "[[sync]]", "sync \"accounts\": `object` is missing", ""),
    (
        "object = \"Account\"",
        "object = \"My Account\"",
        "object",
        "`object`: `My Account` is no API name",
        "",
    ),
    (
        "{ domain = \"Website\" }",
        "{ domain = \"$Website\" }",
        "keys",
        "`keys.domain`: `$Website` is no field",
        "",
    ),
    (
        "{ domain = \"Website\" }",
        "{ domain = \"$event.Domain__c\" }",
        "keys",
        "takes a key from the event, which is not supported yet",
        "",
    ),
    (
        "{ domain = \"Website\" }",
        "{ domain = 5 }",
        "keys",
        "sync \"accounts\": `keys.domain` must be a text",
        "",
    ),
    ("target = \"Enrichment__c\"\n", "", "[[sync]]", "`target` is missing", ""),
    (
        "from = \"/key\"",
        "from = \"key\"",
        "external_id",
        "`external_id.from`: `key` is neither a field nor a JSON Pointer",
        "",
    ),
    (", from = \"/key\"", "", "external_id", "`external_id.from` is missing", ""),
    (
        "\"/employees\"",
        "\"employees\"",
        "Employee_Count__c",
        "`fields.Employee_Count__c`: `employees` is neither",
        "",
    ),
    ("Account__c = \"$Id\"", "Id = \"$Id\"", "Id =", "`fields.Id`: is the record ID", ""),
    (
        "Account__c = \"$Id\"",
        "acmeco__Employee_Count__c = \"$Id\"",
        "[[org]]",
        "org \"acme\": sync \"accounts\" with namespace `acmeco`",
        "",
    ),
    // The package's contract.
    (
        "Employee_Count__c",
        "Employees__c",
        "Employees__c",
        "`fields.Employees__c`: the package's Enrichment__c has no field `Employees__c`",
        "Did you mean `Employee_Count__c`?",
    ),
    (
        "Employee_Count__c",
        "acmeco__Webseite__c",
        "acmeco__Webseite__c",
        "the package's Enrichment__c has no field `Webseite__c`",
        "Did you mean `Website__c`?",
    ),
    (
        "Employee_Count__c",
        "Number_Of_Cats__c",
        "Number_Of_Cats__c",
        "has no field `Number_Of_Cats__c`",
        "There are: Account__c, Annual_Revenue__c,",
    ),
    (
        "\"External_Id__c\"",
        "\"Domain__c\"",
        "external_id",
        "`Domain__c` is no external ID of the package's Enrichment__c",
        "Write `External_Id__c`.",
    ),
    (
        "object = \"Account\"",
        "object = \"Account\"\nevent = { ids = \"Record_Id__c\" }",
        "event",
        "`event.ids` is wrong: the package's Sync_Request__e has no field `Record_Id__c`",
        "Did you mean one of `Record_Ids__c`",
    ),
    (
        "/event/Sync_Request__e",
        "/topic/Accounts",
        "channel",
        "is `/topic/Accounts`, which is no channel of Platform Events",
        "",
    ),
    (
        "/event/Sync_Request__e",
        "/data/LeadChangeEvent",
        "channel",
        "`channel` carries changes of `Lead`, but the sync's `object` is `Account`",
        "",
    ),
    ("/event/Sync_Request__e", "/data/Accounts", "channel", "is `/data/Accounts`, which is no channel", ""),
    (
        "channel = \"/event/Sync_Request__e\"",
        "channel = \"/data/AccountChangeEvent\"\nevent = { ids = \"Record_Ids__c\" }",
        "event",
        "`event.ids` makes no sense on a channel of change events",
        "",
    ),
    (
        "channel = \"/event/Sync_Request__e\"",
        "channel = \"/data/ChangeEvents\"\nevent = { watch = [\"a b\"] }",
        "event",
        "`event.watch` is `a b`, which is no API name",
        "",
    ),
    (
        "object = \"Account\"",
        "object = \"Account\"\nevent = { ids = \"Ids__c\", watch = [\"Website\"] }",
        "event",
        "`event.watch` makes sense only on a channel of change events",
        "",
    ),
    (
        "object = \"Account\"",
        "object = \"Account\"\nmatch = \"name\"",
        "match",
        "`match` is `name`, which is no way to match",
        "",
    ),
    (
        "object = \"Account\"",
        "object = \"Account\"\nwrite = \"delete\"",
        "write",
        "`write` is `delete`, which is no way to write",
        "",
    ),
    (
        "object = \"Account\"",
        "object = \"Account\"\non_refused_field = \"skip\"",
        "on_refused_field",
        "`on_refused_field` is `skip`, which is nothing to do about a refused field",
        "",
    ),
    (
        "object = \"Account\"",
        "object = \"Account\"\nevent = { object = \"O__c\" }",
        "event",
        "`event.ids` is missing",
        "",
    ),
    (
        "object = \"Account\"",
        "object = \"Account\"\nevent = { ids = \"a b\" }",
        "event",
        "`event.ids` is `a b`, which is no API name",
        "",
    ),
    ("Website != null", "WHERE Website != null", "refresh", "`refresh.where` starts with `WHERE`", ""),
    (
        "0 2 * * SAT",
        "0 2 * *",
        "refresh",
        "`refresh.schedule` is `0 2 * *`, which has 4 fields instead of 5",
        "",
    ),
    ("0 2 * * SAT", "0 25 * * *", "refresh", "`0 25 * * *`, which is no cron expression", ""),
    ("0 2 * * SAT", "0 2 31 2 *", "refresh", "`0 2 31 2 *`, which never comes", ""),
    ("22:00-04:00", "22:00", "refresh", "`refresh.window` is `22:00`, which is no time of day", ""),
    ("22:00-04:00", "22:00-25:00", "refresh", "`22:00-25:00`, which is no time of day", ""),
    ("22:00-04:00", "04:00-04:00", "refresh", "which ends when it starts", ""),
    (
        "batch = 100",
        "on_deleted = \"purge\"",
        "refresh",
        "`refresh.on_deleted` is `purge`, which is nothing to do about a deleted record",
        "\"clear\" or \"delete\"",
    ),
    (
        "batch = 100 }\n[sync.fields]\nAccount__c = \"$Id\"",
        "on_deleted = \"delete\" }\n[sync.fields]",
        "refresh",
        "`refresh.on_deleted` needs a field of another object that takes the record's ID",
        "\"$Id\"",
    ),
    ("batch = 100", "batch = 101", "refresh", "`refresh.batch` must be a whole number from 1 to 100", ""),
    ("batch = 100", "bulk_from = 0", "refresh", "`refresh.bulk_from` must be a whole number from 2", ""),
    // Orgs.
    ("id = \"globex\"", "id = \"ACME\"", "ACME", "org \"ACME\": `id` is the same as on line 27", ""),
    ("id = \"globex\"", "id = \"a/b\"", "a/b", "`id` is no usable name", ""),
    ("id = \"globex\"\n", "", "[[org]]", "org number 2: `id` is missing", ""),
    (
        "https://login.salesforce.com",
        "https://login.salesforce.com/services",
        "login_url",
        "`login_url` has something behind the host",
        "",
    ),
    (
        "https://globex.my.salesforce.com",
        "https://login.salesforce.com",
        "auth",
        "client credentials work at an org's own My Domain only",
        "",
    ),
    (
        "Europe/Berlin",
        "Europe/Berln",
        "time_zone",
        "is `Europe/Berln`, which is no time zone",
        "Did you mean `Europe/Berlin`?",
    ),
    ("\"acmeco\"", "\"acmeco__\"", "namespace", "`namespace` is `acmeco__`, which is no namespace", ""),
    (
        "namespace = \"acmeco\"",
        "api_version = \"v66\"",
        "api_version",
        "`api_version` is `v66`, which is no API version",
        "",
    ),
    (
        "namespace = \"acmeco\"",
        "limits = { bulk_from = 1 }",
        "limits",
        "`limits.bulk_from` must be a whole number from 2",
        "",
    ),
    (
        "namespace = \"acmeco\"",
        "limits = { linger_millis = 5 }",
        "limits",
        "`limits.linger_millis` must be a whole number from 10",
        "",
    ),
    (
        "namespace = \"acmeco\"",
        "limits = { strategy = \"cheap\" }",
        "limits",
        "`limits.strategy` is `cheap`, which is no strategy",
        "\"cost\" (fewest API calls)",
    ),
    (
        "daily_share = 0.25",
        "daily_share = 25",
        "daily_share",
        "org_defaults: `limits.daily_share` must be a share from 0 to 1",
        "",
    ),
    (
        "daily_share = 0.25",
        "daily_share = 0",
        "daily_share",
        "`limits.daily_share` is 0, which forbids every call",
        "",
    ),
    (
        "daily_share = 0.25",
        "reserve = 1.0",
        "reserve",
        "`limits.reserve` is 1, which leaves orgpipe no call",
        "",
    ),
    (
        "syncs = [\"accounts\"]",
        "syncs = [\"acounts\"]",
        "syncs",
        "names `acounts`, but no sync has this name",
        "Did you mean `accounts`?",
    ),
    ("syncs = [\"accounts\"]", "syncs = [\"accounts\", \"accounts\"]", "syncs", "names `accounts` twice", ""),
    ("syncs = [\"accounts\"]", "syncs = []", "[[org]]", "`syncs` is empty", ""),
    ("syncs = [\"accounts\"]", "syncs = \"accounts\"", "syncs", "`syncs` must be a list of texts", ""),
    // Logins.
    ("flow = \"jwt\", ", "", "auth", "org \"acme\": `auth.flow` is missing", ""),
    (
        "flow = \"jwt\"",
        "flow = \"password\"",
        "auth",
        "`auth.flow` is `password`, which is no login flow",
        "",
    ),
    (
        "username = \"sync@acme.com\"",
        "username = \"sync\"",
        "auth",
        "`auth.username` is no user name of Salesforce",
        "",
    ),
    ("username = \"sync@acme.com\", ", "", "auth", "`auth.username` is missing", ""),
    (
        "secrets/jwt.key",
        "secrets/none.key",
        "auth",
        "names the file `secrets/none.key`, which cannot be read",
        "",
    ),
    (
        "secrets/jwt.key",
        "secrets/not-a.key",
        "auth",
        "`auth.key_file` names a private key that cannot be used",
        "",
    ),
    (
        "secrets/jwt.key",
        "-----BEGIN PRIVATE KEY-----hidden-pasted",
        "auth",
        "holds a key where a path is expected",
        "",
    ),
    (
        "key_file = \"secrets/jwt.key\"",
        "key_env = \"NOT_A_KEY\"",
        "auth",
        "`auth.key_env` names a private key that cannot",
        "",
    ),
    (", key_file = \"secrets/jwt.key\"", "", "auth", "`auth.key_env` is missing", "as `key_file`"),
    (
        "key_file =",
        "key_env = \"JWT_KEY\", key_file =",
        "auth",
        "`auth.key_env` stands beside `key_file`",
        "",
    ),
    (
        "client_secret_env = \"SF_CLIENT_SECRET\"",
        "client_secret = \"hidden-pasted\"",
        "auth",
        "`auth.client_secret` is not a key",
        "write `client_secret_env",
    ),
    (
        "flow = \"client_credentials\"",
        "flow = \"client_credentials\", username = \"a@b\"",
        "auth",
        "`auth.username` means nothing to the flow",
        "",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\" }",
        "auth",
        "`auth.refresh_token_env` is missing",
        "as `refresh_token_file`",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\", refresh_token = \"hidden-pasted\" }",
        "auth",
        "`auth.refresh_token` is not a key",
        "write `refresh_token_file",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\", refresh_token_env = \"SF_REFRESH_TOKEN\", refresh_token_file = \"secrets/token\" }",
        "auth",
        "`auth.refresh_token_env` stands beside `refresh_token_file`",
        "Keep one",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\", refresh_token_file = \"secrets/empty\" }",
        "auth",
        "names the file `secrets/empty`, which is empty",
        "Write the secret into it",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\", refresh_token_file = \"secrets/two-words\" }",
        "auth",
        "`auth.refresh_token_file` names a secret with blanks",
        "bare secret",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\", refresh_token_env = \"TWO_LINES\" }",
        "auth",
        "`auth.refresh_token_env` names a secret with blanks",
        "bare secret",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\", refresh_token_file = \"5Aep861-hidden-pasted-as-a-path\" }",
        "auth",
        "`auth.refresh_token_file` names no file that is there (not shown",
        "Write the path",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\", client_secret_env = \"NO_SUCH\", refresh_token_env = \"SF_REFRESH_TOKEN\" }",
        "auth",
        "`NO_SUCH`, which is not set",
        "Set `NO_SUCH`",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", refresh_token_env = \"SF_REFRESH_TOKEN\" }",
        "auth",
        "`auth.client_id_env` is missing",
        "as `client_id`",
    ),
    (
        "auth = { flow = \"jwt\", client_id_env = \"SF_CLIENT_ID\", username = \"sync@acme.com\", key_file = \"secrets/jwt.key\" }",
        "auth = { flow = \"refresh_token\", client_id = \"x\", refresh_token_env = \"SF_REFRESH_TOKEN\", key_env = \"JWT_KEY\" }",
        "auth",
        "`auth.key_env` means nothing to the flow `refresh_token`",
        "choose the flow jwt",
    ),
    (
        "client_secret_env = \"SF_CLIENT_SECRET\"",
        "client_secret_env = \"SF_CLIENT_SECRET\", client_secret_file = \"secrets/secret\"",
        "auth",
        "`auth.client_secret_env` stands beside `client_secret_file`",
        "Keep one",
    ),
    (
        "client_secret_env = \"SF_CLIENT_SECRET\"",
        "client_secret_file = \"secrets/none\"",
        "auth",
        "names the file `secrets/none`, which cannot be read",
        "",
    ),
    (
        "flow = \"client_credentials\"",
        "flow = \"client_credentials\", refresh_token_env = \"SF_REFRESH_TOKEN\"",
        "auth",
        "`auth.refresh_token_env` means nothing to the flow `client_credentials`",
        "choose the flow refresh_token",
    ),
    (
        "https://globex.my.salesforce.com",
        "https://globex.lightning.force.com",
        "auth",
        "it serves pages, not the API",
        "Write `login_url = \"https://globex.my.salesforce.com\"`",
    ),
    (
        "[[org]]\nid = \"globex\"",
        "[[org]]\ninstance_hosts = [\"https://gateway.example.com\"]\nid = \"globex\"",
        "instance_hosts",
        "`instance_hosts` has `https://gateway.example.com`, which is no host name",
        "no port",
    ),
    ("flow = \"jwt\"", "flow = \"jwt\", audience = \"login\"", "auth", "`auth.audience` is no URL", ""),
    (
        "client_id_env = \"SF_CLIENT_ID\", username",
        "client_id = \"\", username",
        "auth",
        "`auth.client_id` is empty",
        "",
    ),
    (
        "auth = { flow = \"client_credentials\"",
        "other = { flow = \"x\"",
        "[[org]]",
        "org \"globex\": `auth` is missing",
        "",
    ),
];
