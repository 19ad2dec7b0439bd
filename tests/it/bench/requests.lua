-- Requests of the bench. Arguments: method, pause of each connection between two requests (ms), a file with a path
-- in each line, a file with a token in each or "", a JSON body or "". Request number n pairs path and token so that
-- none repeats before all tokens met all paths.

local threads = 0

function setup(thread)
    thread:set("first", threads)
    threads = threads + 1
    thread:set("step", 2)
end

local function lines(name)
    local found = {}
    for line in io.lines(name) do
        found[#found + 1] = line
    end
    return found
end

function init(arguments)
    method = arguments[1]
    pause = tonumber(arguments[2])
    paths = lines(arguments[3])
    tokens = arguments[4] ~= "" and lines(arguments[4])
    body = arguments[5] ~= "" and arguments[5] or nil
    next_one = first
end

function request()
    local n = next_one
    next_one = n + step
    local headers = {}
    if body then
        headers["Content-Type"] = "application/json"
    end
    if not tokens then
        return wrk.format(method, paths[n % #paths + 1], headers, body)
    end
    local round = math.floor(n / #tokens)
    headers["Authorization"] = "Bearer " .. tokens[n % #tokens + 1]
    return wrk.format(method, paths[(n + round) % #paths + 1], headers, body)
end

function delay()
    return pause
end

function done(summary, latency)
    local errors = summary.errors
    io.write(string.format("requests=%d seconds=%.6f refused=%d broken=%d p50_us=%d p99_us=%d\n",
        summary.requests, summary.duration / 1e6, errors.status,
        errors.connect + errors.read + errors.write + errors.timeout,
        latency:percentile(50), latency:percentile(99)))
end
