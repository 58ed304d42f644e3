//! The certificates of clients: any whose key they hold, or those that an authority has signed.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

/// What is asked of clients, and what is made of the answer.
#[derive(Debug)]
pub(super) struct Asked {
    algorithms: WebPkiSupportedAlgorithms,
    believed: Option<Arc<dyn ClientCertVerifier>>,
}

impl Asked {
    /// Takes any certificate, and none at all. Whose it is, how old and who signed it says nothing
    /// here: a token names the one certificate that it may come with (RFC 8705 section 3).
    pub(super) fn for_any(provider: &CryptoProvider) -> Self {
        Self { algorithms: provider.signature_verification_algorithms, believed: None }
    }

    /// Takes those that this one does.
    pub(super) fn for_believed(
        provider: &CryptoProvider,
        believed: Arc<dyn ClientCertVerifier>,
    ) -> Self {
        Self { believed: Some(believed), ..Self::for_any(provider) }
    }
}

impl ClientCertVerifier for Asked {
    fn client_auth_mandatory(&self) -> bool {
        self.believed.as_ref().is_some_and(|believed| believed.client_auth_mandatory())
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // Without a hint, clients send what they have.
        self.believed.as_ref().map_or(&[], |believed| believed.root_hint_subjects())
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        // The chain is kept with the connection, and maybe its session. There may be thousands.
        let bytes = end_entity.len() + intermediates.iter().map(|one| one.len()).sum::<usize>();
        if bytes > MOST_BYTES {
            return Err(CertificateError::BadEncoding.into());
        }
        match &self.believed {
            Some(believed) => believed.verify_client_cert(end_entity, intermediates, now),
            None => Ok(ClientCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Three honest certificates fit twice.
const MOST_BYTES: usize = 16 << 10;
