-- Gives a line the names that httpmon's pipeline reads, and an id that is the same whenever the line is read again: host,
-- log without what rotation put behind its name, offset, and the time in the line (an offset comes again after rotation,
-- but not in the same second).

-- Two servers have logs of the same path, and lines at the same offset: without the host's name one of them is dropped.
local function name_of_host()
  local named = os.getenv("HTTPMON_HOST") or os.getenv("HOSTNAME")
  local file = not named and io.open("/proc/sys/kernel/hostname")
  if file then
    named = file:read("*l")
    file:close()
  end
  return named or error("the name of this host is not known: set HTTPMON_HOST")
end

local host = name_of_host()

function place(tag, timestamp, record)
  local path = record["path"] or ""
  local log = path:gsub("%-%d%d%d%d%d%d%d%d%-%d+$", ""):gsub("%-%d%d%d%d%d%d%d%d$", ""):gsub("%.%d+$", "")
  local message = record["message"] or ""
  local time = message:match("%[([^%]]*)%]") or message
  local id = table.concat({ host, log, string.format("%d", record["offset"] or 0), time }, "|")
  return 2, timestamp, {
    message = message,
    log = { file = { path = path }, offset = record["offset"] },
    -- Elasticsearch takes ids of 512 bytes at most. The end tells more than the beginning.
    httpmon_id = id:sub(-512),
  }
end
