// Stage caption: captions of shots, and of films, from a model behind an endpoint. See stages.h, captioner.h.
//
// A shot's line depends on its frames, the prompt and the model, not on time-outs or the endpoint's address. Frames of
// the next shots are sent while an answer is waited for; lines are written in the order of the shots.
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <future>
#include <map>

#include "moga/core/check.h"
#include "moga/core/config.h"
#include "moga/core/files.h"
#include "moga/core/interrupt.h"
#include "moga/core/log.h"
#include "moga/data/captioner/captioner.h"
#include "moga/data/films/shots.h"
#include "moga/data/films/stages.h"
#include "moga/data/video/image.h"

namespace moga {
namespace {

constexpr int kJpegQuality = 85;
constexpr size_t kMostShots = 64;  // of a film that gets a caption for all of it

std::string prompt_text(const std::string& path) {
  const std::string text = read_text(path, kMostConfigBytes);
  check(text.find_first_not_of(" \t\r\n") != std::string::npos, path, ": is empty, expected the captioner's prompt");
  return text;
}

// A shot, or a film, that is to be described.
struct Request {
  const Record* film = nullptr;
  const Record* shot = nullptr;
  std::string input;
};

bool has_caption(const Record& film, const Record& shot) {
  return !shot.value("caption", "").empty() || !film.at("captions").empty();
}

std::string request_input(const Record& film, const Record& shot) {
  return film_key(film) + shots_key({shot}) + (shot.contains("crop") ? shot.at("crop").dump() : "");
}

std::vector<Request> requests_of(const std::vector<Record>& films, const std::vector<std::vector<Record>>& shots,
                                 bool replace) {
  std::vector<Request> requests;
  for (size_t i = 0; i < films.size(); ++i) {
    if (is_dropped(films[i])) continue;
    for (const Record& shot : shots[i])
      if (!is_dropped(shot) && (replace || !has_caption(films[i], shot)))
        requests.push_back({&films[i], &shot, request_input(films[i], shot)});
  }
  return requests;
}

std::vector<std::string> frames_of(const Request& request, const CaptionConfig& config) {
  const Record& film = *request.film;
  FilmView view = {.deinterlace = film.value("interlaced", false)};
  view.crop = {0, 0, film.at("width"), film.at("height")};
  if (request.shot->contains("crop")) {
    const auto box = request.shot->at("crop").get<std::vector<int64_t>>();
    check(box.size() == 4, "crop of shot ", request.shot->at("shot").dump(), " has ", box.size(),
          " numbers, expected x, y, width, height");
    view.crop = {box[0], box[1], box[2], box[3]};
  }
  const double scale = std::min(
      1.0, static_cast<double>(config.longest_side) / static_cast<double>(std::max(view.crop.width, view.crop.height)));
  view.width = std::max<int64_t>(1, std::llround(static_cast<double>(view.crop.width) * scale));
  view.height = std::max<int64_t>(1, std::llround(static_cast<double>(view.crop.height) * scale));
  const auto reader = open_film(film.at("path").get<std::string>(), view);
  std::vector<std::string> jpegs;
  for (const at::Tensor& frame : frames_at(*reader, moments(*request.shot, config.frames)))
    jpegs.push_back(jpeg_bytes(frame.permute({2, 0, 1}).contiguous(), kJpegQuality));
  return jpegs;
}

Record line_of(const CaptionAnswer& answer, const Record& film, const CaptionConfig& config) {
  Record record = {{"film", film.at("film")}};
  if (!config.model.empty()) record["model"] = config.model;
  if (answer.cut_off) record["cut_off"] = true;
  return record;
}

class FilmCaptioner {
 public:
  FilmCaptioner(const CaptionConfig& config, Manifest& manifest)
      : config_(config),
        manifest_(manifest),
        captioner_({config.endpoint, config.model, config.key_variable, config.max_tokens, config.temperature,
                    config.requests_per_minute, config.timeout, config.retries}) {}

  void describe_shots(const std::vector<Request>& requests, const std::string& prompt) {
    Progress progress("caption", static_cast<int64_t>(requests.size()), "shot");
    size_t sent = 0;
    for (size_t i = 0; i < requests.size(); ++i) {
      for (; sent < requests.size() && sent < i + static_cast<size_t>(config_.parallel); ++sent)
        send(requests[sent], prompt);
      manifest_.group(requests[i].input, [&] { return receive(requests[i]); });
      if (!waiting_.empty() && waiting_.front().request == &requests[i]) waiting_.pop_front();
      progress.advance();
    }
  }

  void describe_film(const Record& film, const std::vector<std::string>& captions, const std::string& prompt) {
    std::string text = prompt + "\n";
    for (size_t i = 0; i < captions.size(); ++i) text += "\nShot " + std::to_string(i + 1) + ": " + captions[i];
    manifest_.group("film " + std::to_string(film.at("film").get<int64_t>()) + text, [&]() -> std::vector<Record> {
      const CaptionAnswer answer = captioner_.describe(text, {});
      Record record = line_of(answer, film, config_);
      record["global_caption"] = answer.text;
      return {record};
    });
  }

 private:
  struct Waiting {
    const Request* request;
    std::future<CaptionAnswer> answer;
    std::string problem;
  };

  // Frames are decoded here, one shot after the other; the request waits on its own thread.
  void send(const Request& request, const std::string& prompt) {
    if (manifest_.has(request.input)) return;
    stop_if_interrupted();
    Waiting waiting = {&request, {}, ""};
    try {
      waiting.answer = std::async(std::launch::async, [this, &prompt, frames = frames_of(request, config_)] {
        return captioner_.describe(prompt, frames);
      });
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      waiting.problem = error.what();
    }
    waiting_.push_back(std::move(waiting));
  }

  std::vector<Record> receive(const Request& request) {
    Waiting& waiting = waiting_.front();
    Record record = {{"film", request.film->at("film")}, {"shot", request.shot->at("shot")}};
    if (!waiting.problem.empty()) {
      record["dropped"] = waiting.problem;
      return {record};
    }
    const CaptionAnswer answer = waiting.answer.get();
    record.update(line_of(answer, *request.film, config_));
    if (answer.text.empty())
      record["dropped"] = "the captioner gave no text";
    else
      record["caption"] = answer.text;
    return {record};
  }

  const CaptionConfig& config_;
  Manifest& manifest_;
  Captioner captioner_;
  std::deque<Waiting> waiting_;
};

}  // namespace

void CaptionConfig::validate() const {
  check(endpoint.empty() || !prompt.empty(), "endpoint needs prompt, a file with the text for the captioner");
  check(frames >= 1 && frames <= 64, "frames is ", frames, ", expected 1 to 64");
  check(longest_side >= 16 && longest_side <= 4096, "longest_side is ", longest_side, ", expected 16 to 4096");
  check(max_tokens >= 1, "max_tokens is ", max_tokens, ", expected at least 1");
  check(temperature >= 0, "temperature is ", temperature, ", expected at least 0");
  check(parallel >= 1 && parallel <= 256, "parallel is ", parallel, ", expected 1 to 256");
  check(requests_per_minute >= 0, "requests_per_minute is ", requests_per_minute, ", expected at least 0");
  check(timeout > 0, "timeout is ", timeout, ", expected more than 0");
  check(retries >= 0 && retries <= 100, "retries is ", retries, ", expected 0 to 100");
}

std::vector<Record> caption_films(const FilmsConfig& config, const std::vector<Record>& films,
                                  const std::vector<Record>& shots) {
  const CaptionConfig& caption = config.caption;
  if (caption.endpoint.empty()) return {};
  const std::string prompt = prompt_text(caption.prompt);
  const std::string film_prompt = caption.film_prompt.empty() ? "" : prompt_text(caption.film_prompt);
  CaptionConfig settings = caption;  // what a caption depends on
  settings.endpoint = settings.key_variable = settings.prompt = settings.film_prompt = "";
  settings.parallel = settings.retries = 1;
  settings.timeout = 1;
  settings.requests_per_minute = 0;
  settings.replace = false;
  Manifest manifest(config.out, name_of(FilmStage::kCaption), to_json(settings) + prompt);
  FilmCaptioner captioner(caption, manifest);
  const std::vector<std::vector<Record>> by_film = shots_of_films(films, shots);
  captioner.describe_shots(requests_of(films, by_film, caption.replace), prompt);
  if (film_prompt.empty()) return manifest.finish();
  const std::vector<Record> made = manifest.records();
  for (size_t i = 0; i < films.size(); ++i) {
    std::vector<std::string> captions;
    for (const Record& shot : join_shots(by_film[i], made))
      if (!is_dropped(shot) && !shot.value("caption", "").empty())
        captions.push_back(shot.at("caption").get<std::string>());
    if (!is_dropped(films[i]) && captions.size() > 1 && captions.size() <= kMostShots)
      captioner.describe_film(films[i], captions, film_prompt);
  }
  return manifest.finish();
}

std::vector<Record> with_global_captions(std::vector<Record> films, const std::vector<Record>& captions) {
  std::map<int64_t, std::string> made;
  for (const Record& line : captions)
    if (line.contains("global_caption"))
      made[line.at("film").get<int64_t>()] = line.at("global_caption").get<std::string>();
  for (Record& film : films)
    if (const auto found = made.find(film.at("film").get<int64_t>()); found != made.end())
      film["global_caption"] = found->second;
  return films;
}

}  // namespace moga
