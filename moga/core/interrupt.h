// Ctrl-C and SIGTERM ask long work to end cleanly: it finishes its unit of work, saves, and returns.
#pragma once

namespace moga {

// Installs the handlers. A second signal ends the process at once.
void catch_interrupts();

// True once a signal has arrived.
bool interrupted();

// For tests: as if a signal had arrived (or had not).
void set_interrupted(bool value);

}  // namespace moga
