//! `completion`: the script by which a shell completes commands.

use clap::CommandFactory;

use crate::args::{Arguments, Completion};
use crate::end::End;
use crate::failure::Failure;
use crate::out::Out;

/// kubectl runs `kubectl_complete-NAME` of the PATH for a plugin's completions, with the words so far, and reads one
/// proposal a line and `:4` (no file names) at the end, as cobra writes them.
const FOR_KUBECTL: &str = "\
#!/bin/sh
# Save it as kubectl_complete-chainlink, make it executable, and put it into the PATH.
case \"$#\" in
0 | 1) echo \"VERBS\" | tr ' ' '\\n' | grep \"^$1\" ;;
*) kubectl get chainlinknodes --output name 2>/dev/null | sed 's|.*/||' ;;
esac
echo ':4'
";

pub fn run(asked: &Completion, out: &mut Out) -> Result<End, Failure> {
    let mut command = Arguments::command();
    if asked.for_kubectl {
        let verbs: Vec<&str> = command
            .get_subcommands()
            .map(clap::Command::get_name)
            .collect();
        let script = FOR_KUBECTL.replace("VERBS", &verbs.join(" "));
        out.raw(script.as_bytes())?;
        return Ok(End::Done);
    }
    let mut script = Vec::new();
    clap_complete::generate(asked.shell, &mut command, "kubectl-chainlink", &mut script);
    out.raw(&script)?;
    Ok(End::Done)
}
