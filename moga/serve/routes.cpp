#include "moga/serve/routes.h"

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <nlohmann/json.hpp>

#include "moga/core/files.h"
#include "moga/core/log.h"
#include "moga/data/script_json.h"
#include "moga/serve/api_error.h"
#include "moga/serve/events.h"
#include "moga/serve/file_content.h"
#include "moga/serve/form_data.h"
#include "moga/serve/page_text.h"
#include "moga/serve/request_head.h"

namespace moga {
namespace {

constexpr const char* kJson = "application/json";
constexpr size_t kLongestKey = 128;
constexpr uint64_t kMostPreviewBytes = uint64_t{4} << 20;
// The page runs its own script, and talks to this server only.
constexpr const char* kPagePolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; media-src 'self' "
    "blob:; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string text_of(const nlohmann::json& object) {
  return object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void answer(httplib::Response& response, const nlohmann::json& object, int status = 200) {
  response.status = status;
  response.set_content(text_of(object), kJson);
}

void answer(httplib::Response& response, const ApiError& error) {
  response.status = error.status();
  if (error.status() == 401) response.set_header("WWW-Authenticate", "Bearer");
  if (error.status() == 429 || error.status() == 503) response.set_header("Retry-After", "30");
  response.set_content(error.json(), kJson);
}

// "/v1/videos/ID" → {"v1", "videos", "ID"}; empty parts stay, so that no two paths are the same.
std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (size_t begin = 1; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    parts.push_back(path.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

void check_parameters(const httplib::Request& request, std::initializer_list<const char*> known) {
  for (const auto& [name, value] : request.params) {
    if (std::ranges::find(known, name) == known.end())
      refuse("unknown_parameter", "unknown parameter '", name, "'",
             did_you_mean(name, std::vector<std::string>(known.begin(), known.end())));
    if (request.get_param_value_count(name) > 1)
      refuse("invalid_parameter", "the parameter '", name, "' is given twice");
  }
}

std::string parameter(const httplib::Request& request, const char* name, const char* otherwise) {
  return request.has_param(name) ? request.get_param_value(name) : otherwise;
}

void only(const httplib::Request& request, std::initializer_list<const char*> methods) {
  std::string list;
  for (const char* method : methods) {
    if (request.method == method || (request.method == "HEAD" && std::string_view(method) == "GET")) return;
    list += (list.empty() ? "" : ", ") + std::string(method);
  }
  throw ApiError(405, "method_not_allowed", request.method + " is not possible here, expected " + list);
}

[[noreturn]] void nothing_here() { throw ApiError(404, "not_found", "there is nothing at this path"); }

RequestSource source_of(const httplib::Request& request) {
  return {request.get_header_value("Authorization"), request.get_header_value("Host"),
          request.get_header_value("Origin")};
}

}  // namespace

Routes::Routes(JobQueue& queue, const Access& access, const RequestRules& rules)
    : queue_(queue), access_(access), rules_(rules) {}

void Routes::add_to(httplib::Server& server) {
  const auto handler = [this](const Request& request, Response& response) { dispatch(request, response); };
  for (auto add : {&httplib::Server::Get, &httplib::Server::Delete, &httplib::Server::Options})
    (server.*add)(".*", handler);
  server.Post(".*", handler).Put(".*", handler).Patch(".*", handler);
  server.set_error_handler([](const Request& request, Response& response) {
    if (response.body.empty() && request.method != "HEAD")
      answer(response, ApiError(response.status, "bad_request", "the request is not one that this server understands"));
  });
  server.set_default_headers({{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}});
}

void Routes::dispatch(const Request& request, Response& response) {
  try {
    videos(request, response);
  } catch (const ApiError& error) {
    answer(response, error);
  } catch (const std::exception& error) {
    log_info(request.method, " ", request.path.substr(0, 80), ": ", error.what());
    answer(response, ApiError(500, "server_error", "the server could not do this; its log says why"));
  }
}

void Routes::videos(const Request& request, Response& response) {
  access_.check_source(source_of(request));
  const std::vector<std::string> parts = parts_of(request.path);
  if (parts.size() == 1 && (parts[0].empty() || parts[0] == "health")) {  // open: neither tells anything
    only(request, {"GET"});
    check_parameters(request, {});
    if (parts[0] == "health") return answer(response, {{"status", "ok"}});
    response.set_header("Content-Security-Policy", kPagePolicy);
    response.set_header("Referrer-Policy", "no-referrer");
    return response.set_content(kServePage, "text/html; charset=utf-8");
  }
  access_.check_token(source_of(request));
  if (parts == std::vector<std::string>{"metrics"}) {
    only(request, {"GET"});
    return response.set_content(metrics(), "text/plain; version=0.0.4");
  }
  if (parts.size() < 2 || parts[0] != "v1") nothing_here();
  if (parts[1] == "models" && parts.size() == 2) {
    only(request, {"GET"});
    const nlohmann::json model = {{"id", rules_.model},
                                  {"object", "model"},
                                  {"owned_by", "moga"},
                                  {"size", rules_.size},
                                  {"multiples", {rules_.pixels.columns, rules_.pixels.rows}},
                                  {"frame_stride", rules_.pixels.frames},
                                  {"most_tokens", rules_.most_tokens}};
    return answer(response, {{"object", "list"}, {"data", {model}}});
  }
  if (parts[1] != "videos" || parts.size() > 4) nothing_here();
  if (parts.size() > 2) return video(request, response, parts[2], parts.size() > 3 ? parts[3] : "");
  only(request, {"GET", "POST"});
  request.method == "POST" ? submit(request, response) : list(request, response);
}

void Routes::submit(const Request& request, Response& response) {
  const std::string type = request.get_header_value("Content-Type"), form = request.get_header_value(kFormHeader);
  if (form.empty() && type.substr(0, type.find(';')) != kJson)
    throw ApiError(415, "unsupported_media_type", "Content-Type is neither application/json nor multipart/form-data");
  check_parameters(request, {});
  const std::string key = request.get_header_value("Idempotency-Key");
  if (key.size() > kLongestKey) refuse("invalid_key", "Idempotency-Key has more than ", kLongestKey, " characters");
  const VideoJobRequest wanted = read_request(form.empty() ? request.body : json_of_form(form, request.body), rules_);
  const JobQueue::Submitted submitted = queue_.submit(wanted.script, wanted.frames, wanted.pictures, key);
  const JobView& job = submitted.view;
  if (submitted.is_new)
    log_info(job.job.id, ": queued, ", wanted.frames, " frames of ", job.job.script.size[0], "x",
             job.job.script.size[1], ", ", job.job.script.shot.size(), " shots, place ", job.position);
  answer(response, public_job(job.job, job.progress, job.position));
}

void Routes::list(const Request& request, Response& response) {
  check_parameters(request, {"limit", "after", "order"});
  const std::string text = parameter(request, "limit", "20"), order = parameter(request, "order", "desc");
  int64_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size() || limit < 1 || limit > 100)
    refuse("invalid_parameter", "limit is '", text.substr(0, 40), "', expected 1 to 100");
  if (order != "asc" && order != "desc")
    refuse("invalid_parameter", "order is '", order.substr(0, 40), "', expected asc or desc");
  std::vector<JobView> jobs = queue_.all();
  if (order == "desc") std::ranges::reverse(jobs);
  auto first = jobs.begin();
  if (request.has_param("after")) {
    const std::string after = request.get_param_value("after");
    first = std::ranges::find(jobs, after, [](const JobView& view) { return view.job.id; });
    if (first == jobs.end()) throw ApiError(404, "video_not_found", "after is no id of a video");
    ++first;
  }
  const bool more = jobs.end() - first > limit;
  const auto last = more ? first + limit : jobs.end();
  nlohmann::json data = nlohmann::json::array();
  for (auto view = first; view != last; ++view) data.push_back(public_job(view->job, view->progress, view->position));
  nlohmann::json result = {
      {"object", "list"}, {"data", data}, {"has_more", more}, {"first_id", nullptr}, {"last_id", nullptr}};
  if (!data.empty()) {
    result["first_id"] = data.front()["id"];
    result["last_id"] = data.back()["id"];
  }
  answer(response, result);
}

JobView Routes::found(const std::string& id) const {
  const auto view = is_job_id(id) ? queue_.find(id) : std::nullopt;
  if (!view)
    throw ApiError(404, "video_not_found", is_job_id(id) ? "there is no video " + id : "that is no id of a video");
  return *view;
}

void Routes::video(const Request& request, Response& response, const std::string& id, const std::string& part) {
  if (part.empty())
    only(request, {"GET", "DELETE"});
  else
    only(request, {"GET"});
  if (part != "content") check_parameters(request, {});
  const JobView view = found(id);
  if (part.empty() && request.method == "DELETE") return remove(response, id);
  if (part.empty()) return answer(response, public_job(view.job, view.progress, view.position));
  if (part == "script") return response.set_content(script_json(view.job.script) + "\n", kJson);
  if (part == "events") return send_events(queue_, id, response);
  if (part == "preview") return preview(response, view);
  if (part == "content") return content(request, response, view);
  nothing_here();
}

void Routes::remove(Response& response, const std::string& id) {
  const Removal removal = queue_.remove(id);
  log_info(id, removal == Removal::kCancelled ? ": cancelled" : ": removed");
  if (removal == Removal::kCancelled) {
    const JobView view = found(id);
    return answer(response, public_job(view.job, view.progress, view.position));
  }
  answer(response, {{"id", id}, {"object", "video.deleted"}, {"deleted", true}});
}

void Routes::content(const Request& request, Response& response, const JobView& view) {
  check_parameters(request, {"variant"});
  const std::string variant = parameter(request, "variant", "video");
  if (variant != "video" && variant != "spritesheet")
    refuse("invalid_parameter", "variant is '", variant.substr(0, 40), "', expected video or spritesheet");
  if (view.job.status != JobStatus::kCompleted)
    throw ApiError(409, "video_not_ready", std::string("the video is ") + name_of(view.job.status) + ", not completed");
  const JobFiles files = queue_.files_of(view.job.id);
  const bool film = variant == "video";
  send_file(film ? files.film : files.sheet, film ? "video/mp4" : "image/png", request, response);
}

void Routes::preview(Response& response, const JobView& view) {
  std::error_code ignored;
  const std::filesystem::path file = queue_.files_of(view.job.id).preview;
  if (!std::filesystem::exists(file, ignored)) throw ApiError(404, "no_preview", "there is no preview of the video");
  response.set_content(read_text(file, kMostPreviewBytes), "image/jpeg");
}

std::string Routes::metrics() const {
  std::map<std::string, int64_t> counts;
  for (const auto& status : kChoices<JobStatus>) counts[status.name] = 0;
  for (const JobView& view : queue_.all()) ++counts[name_of(view.job.status)];
  std::string text = "# HELP moga_jobs Jobs that the server knows, by status.\n# TYPE moga_jobs gauge\n";
  for (const auto& [status, count] : counts)
    text += "moga_jobs{status=\"" + status + "\"} " + std::to_string(count) + "\n";
  return text;
}

}  // namespace moga
