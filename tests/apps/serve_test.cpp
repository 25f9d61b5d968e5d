// `moga serve` as its users meet it: films over HTTP, a signal, and kills at random moments, after which no job is lost
// and none is done twice.
//
// Six kills by default; MOGA_KILLS=50 for more, MOGA_KILL_SEED for other moments.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "moga/core/files.h"
#include "moga/data/video/video.h"
#include "tests/apps/program.h"

namespace moga {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::expect_error;

void pause(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

// `moga serve` in the background on a free port, its output in a file.
class Server {
 public:
  explicit Server(std::vector<std::string> arguments, const std::string& log) : log_(log) {
    arguments.insert(arguments.begin(), {MOGA_PROGRAM, "serve", "--port", "0"});
    std::vector<char*> list;
    for (std::string& argument : arguments) list.push_back(argument.data());
    list.push_back(nullptr);
    write_text(log_, "");
    process_ = fork();
    if (process_ != 0) return;
    const int file = open(log_.c_str(), O_WRONLY | O_APPEND);
    dup2(file, STDOUT_FILENO);
    dup2(file, STDERR_FILENO);
    execv(MOGA_PROGRAM, list.data());
    std::_Exit(127);
  }
  ~Server() {
    if (process_ > 0) end(SIGKILL);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Until requests are answered, for 30 seconds at most.
  bool ready() {
    for (int i = 0; i < 3000 && port_ == 0; ++i) {
      const std::string text = read_text(log_);
      const size_t at = text.find("http://127.0.0.1:");
      if (at != std::string::npos && text.find('\n', at) != std::string::npos)
        port_ = std::stoi(text.substr(at + 17));
      else if (waitpid(process_, nullptr, WNOHANG) != 0)
        break;
      else
        pause(0.01);
    }
    return port_ != 0;
  }
  httplib::Client client() const {
    httplib::Client client("127.0.0.1", port_);
    client.set_read_timeout(60);
    return client;
  }
  // The answer as JSON; null when there is none, as from a server that was killed.
  json post(const json& body, const std::string& key) const {
    const auto result = client().Post("/v1/videos", {{"Idempotency-Key", key}}, body.dump(), "application/json");
    return result ? json::parse(result->body) : json();
  }
  json get(const std::string& path) const {
    const auto result = client().Get(path);
    return result ? json::parse(result->body) : json();
  }
  int end(int signal) {
    int status = 0;
    kill(process_, signal);
    waitpid(process_, &status, 0);
    process_ = -1;
    return status;
  }
  std::string text() const { return read_text(log_); }

 private:
  pid_t process_ = -1;
  std::string log_;
  int port_ = 0;
};

class ServeProgram : public test::Program {
 protected:
  static std::vector<std::string> options(const std::string& out, int steps) {
    return {"--model", at("model"), "--out", at(out), "--steps", std::to_string(steps), "--keep-every", "0"};
  }
  static json script() {
    return {{"title", "T"},
            {"size", {48, 32}},
            {"shot", {{{"caption", "Mara waves."}, {"frames", 9}}, {{"caption", "Mara walks."}, {"duration", 0.5}}}}};
  }
};

TEST_F(ServeProgram, MakesTheFilmOfTheCommandLine) {
  Server server(options("films", 2), at("films.log"));
  ASSERT_TRUE(server.ready()) << server.text();
  const std::string id = server.post(script(), "").at("id"), path = "/v1/videos/" + id;
  const std::string events = server.client().Get(path + "/events")->body;
  EXPECT_NE(events.find("event: completed"), std::string::npos) << events;
  write_text(at("served.mp4"), server.client().Get(path + "/content")->body);
  EXPECT_EQ(open_video(at("served.mp4"))->info().frames, 17);
  const int status = server.end(SIGTERM);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << server.text();
  EXPECT_EQ(test::moga(generate("--steps 2 --quiet --out " + at("own.mp4"))).status, 0);
  const auto served = open_video(at("served.mp4")), own = open_video(at("own.mp4"));
  EXPECT_TRUE(served->read(17).equal(own->read(17)));
}

TEST_F(ServeProgram, ASignalKeepsTheStepsOfTheRunningJob) {
  std::string id;
  {
    Server server(options("signal", 1000), at("signal.log"));
    ASSERT_TRUE(server.ready()) << server.text();
    id = server.post(script(), "").at("id");
    while (server.get("/v1/videos/" + id).at("progress") < 1) pause(0.02);
    const int status = server.end(SIGTERM);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << server.text();
    EXPECT_TRUE(fs::exists(at("signal/" + id + "/film.mp4.resume"))) << server.text();
  }
  Server server(options("signal", 1000), at("signal.log"));
  ASSERT_TRUE(server.ready()) << server.text();
  while (server.get("/v1/videos/" + id).at("progress") < 1) pause(0.02);
  EXPECT_NE(server.text().find("film.mp4.resume: continuing after step "), std::string::npos) << server.text();
  EXPECT_EQ(json::parse(server.client().Delete("/v1/videos/" + id)->body).at("status"), "cancelled");
}

TEST_F(ServeProgram, NamesWhatIsWrong) {
  const std::string serve = "serve --model " + at("model") + " --out " + at("wrong");
  expect_error(serve + " --host 0.0.0.0", "give a --token-file");
  expect_error(serve + " --port 70000", "--port: is 70000, expected a whole number from 0 to 65535");
  expect_error(serve + " --token-file " + at("none"), "none");
  expect_error(serve + " --steps 0", "steps");
  expect_error("serve --model " + at("none"), "none: not a complete model folder");
  write_text(at("token"), "0123456789abcdef\n");
  std::vector<std::string> with_token = options("token-films", 2);
  with_token.insert(with_token.end(), {"--token-file", at("token"), "--host", "127.0.0.1"});
  Server server(with_token, at("token.log"));
  ASSERT_TRUE(server.ready()) << server.text();
  EXPECT_EQ(server.client().Get("/v1/videos")->status, 401);
  EXPECT_EQ(server.client().Get("/v1/videos", {{"Authorization", "Bearer 0123456789abcdef"}})->status, 200);
  expect_error("serve --port 0 --model " + at("model") + " --out " + at("token-films"),
               "is used by another `moga serve`");
  EXPECT_EQ(server.text().find("0123456789abcdef"), std::string::npos);
}

int64_t number_of(const char* variable, int64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::stoll(text) : otherwise;
}

// What the client knows: the keys that it has used, and of each the id, once a server has said it.
struct Submitted {
  std::map<std::string, std::string> ids;
  std::set<std::string> cancelled;  // ids: the server has said so
};

// Submits what has no answer yet, and sometimes cancels a job. Runs against a server that is killed meanwhile.
void use(const Server& server, const json& script, Submitted& submitted, bool cancels) {
  for (auto& [key, id] : submitted.ids)
    if (id.empty()) {
      const json job = server.post(script, key);
      if (job.is_null()) return;
      id = job.at("id");
    }
  if (!cancels) return;
  const std::string id = submitted.ids.rbegin()->second;
  const auto result = server.client().Delete("/v1/videos/" + id);
  if (result && json::parse(result->body).value("status", "") == "cancelled") submitted.cancelled.insert(id);
}

TEST_F(ServeProgram, KillsLoseAndDoubleNoJob) {
  std::mt19937_64 random(number_of("MOGA_KILL_SEED", 1));
  const int64_t kills = number_of("MOGA_KILLS", 6);
  const std::vector<std::string> arguments = options("kills", 60);
  Submitted submitted;
  for (int64_t i = 0; i < kills; ++i) {
    Server server(arguments, at("kills.log"));
    ASSERT_TRUE(server.ready()) << server.text();
    submitted.ids["key " + std::to_string(1000 + i)] = "";  // in their order
    const bool cancels = random() % 3 == 0;
    std::thread client([&] { use(server, script(), submitted, cancels); });
    pause(std::uniform_real_distribution(0.0, i % 2 == 0 ? 0.05 : 2.0)(random));
    server.end(SIGKILL);
    client.join();
  }
  Server server(arguments, at("kills.log"));
  ASSERT_TRUE(server.ready()) << server.text();
  use(server, script(), submitted, false);
  std::string film;
  for (const auto& [key, id] : submitted.ids) {
    const std::string path = "/v1/videos/" + id, events = server.client().Get(path + "/events")->body;
    const std::string status = server.get(path).at("status");
    // A kill may come after the cancelling and before its answer.
    if (status == "cancelled" || submitted.cancelled.contains(id)) {
      EXPECT_EQ(status, "cancelled") << key;
      EXPECT_FALSE(fs::exists(at("kills/" + id + "/film.mp4")));
      continue;
    }
    EXPECT_EQ(status, "completed") << key << "\n" << events << server.text();
    EXPECT_TRUE(fs::exists(at("kills/" + id + "/film.png"))) << key;
    const std::string bytes = server.client().Get(path + "/content")->body;
    if (film.empty()) film = bytes;
    EXPECT_EQ(bytes, film) << key << ": a film that was continued differs";
  }
  const json all = server.get("/v1/videos?limit=100").at("data");
  EXPECT_EQ(all.size(), submitted.ids.size());  // each once
  std::cout << kills << " kills, " << submitted.ids.size() << " jobs, " << submitted.cancelled.size() << " cancelled\n";
}

}  // namespace
}  // namespace moga
